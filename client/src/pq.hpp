// Owning wrappers of libpq's handles, and the only header of the library that includes libpq's. A Connection is
// non-blocking throughout: nothing here ever waits. A statement of which a part is unsent is never executed once its
// Connection is gone, however it goes. Thread-safety: one thread at a time.
#pragma once

#include "conninfo.hpp"
#include "fork_guard.hpp"
#include "params.hpp"
#include "rill/error.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <libpq-fe.h>

namespace rill::detail {

// The Error of an answer that makes no sense: 08P01.
[[nodiscard]] Error unexpected_answer(const char *what);

// The rows, or the error, of one statement. Columns come in the format that was asked for.
class Result {
public:
    Result() = default;
    explicit Result(PGresult *result) noexcept : result_(result) {}

    [[nodiscard]] explicit operator bool() const noexcept { return result_ != nullptr; }
    [[nodiscard]] bool ok() const noexcept;
    [[nodiscard]] bool is_pipeline_sync() const noexcept {
        return PQresultStatus(result_.get()) == PGRES_PIPELINE_SYNC;
    }
    [[nodiscard]] int rows() const noexcept { return PQntuples(result_.get()); }
    [[nodiscard]] int columns() const noexcept { return PQnfields(result_.get()); }
    [[nodiscard]] bool null(int row, int column) const noexcept { return PQgetisnull(result_.get(), row, column) != 0; }
    [[nodiscard]] std::string_view text(int row, int column) const noexcept {
        return {PQgetvalue(result_.get(), row, column),
                static_cast<std::size_t>(PQgetlength(result_.get(), row, column))};
    }
    [[nodiscard]] std::span<const std::byte> bytes(int row, int column) const noexcept {
        return std::as_bytes(std::span<const char>(text(row, column)));
    }
    // Binary; false when null.
    [[nodiscard]] bool boolean(int row, int column) const noexcept {
        const auto value = text(row, column);
        return !value.empty() && value.front() != 0;
    }
    // Binary integers. Throws Error 08P01 when the column has another width.
    [[nodiscard]] std::int32_t int4(int row, int column) const;
    [[nodiscard]] std::int64_t int8(int row, int column) const;

    struct Interval {
        std::int64_t microseconds;
        std::int32_t days;
        std::int32_t months;
    };
    // Likewise.
    [[nodiscard]] Interval interval(int row, int column) const;
    // Likewise; nullopt when null.
    [[nodiscard]] std::optional<std::int64_t> optional_int8(int row, int column) const {
        if (null(row, column))
            return std::nullopt;
        return int8(row, column);
    }
    // This result. Throws Error 08P01 unless it has one row.
    [[nodiscard]] const Result &one_row() const &;
    [[nodiscard]] const Result &one_row() const && = delete;  // it would be gone

    // Empty when libpq made the error itself.
    [[nodiscard]] std::string sqlstate() const;
    [[nodiscard]] Error error(bool connection_lost) const;

private:
    struct Clear {
        void operator()(PGresult *result) const noexcept { PQclear(result); }
    };
    std::unique_ptr<PGresult, Clear> result_;
};

struct FreeCancel {
    void operator()(PGcancel *cancel) const noexcept { PQfreeCancel(cancel); }
};
// What a request to cancel needs to know of a connection; independent of it.
using CancelHandle = std::unique_ptr<PGcancel, FreeCancel>;

struct Notification {
    std::string channel;
    std::string payload;
};

// PQfinish() sends what libpq has buffered and a Terminate message behind it, as far as the socket takes them, even if
// poll(2) calls it full. The server would execute a statement whose end comes that way.
struct FinishConnection {
    bool cut = false;  // a part of a statement is unsent, and stays so
    void operator()(PGconn *conn) const noexcept;
};

class Connection {
public:
    Connection() = default;
    Connection(Connection &&) noexcept = default;
    // In the order of destruction, which the implicit one would reverse: first the connection ends, then what it points
    // to, and what closes its socket in a child that is forked meanwhile.
    Connection &operator=(Connection &&other) noexcept {
        conn_.reset();
        guard_ = std::move(other.guard_);
        fatal_notice_ = std::move(other.fatal_notice_);
        conn_ = std::move(other.conn_);
        return *this;
    }
    ~Connection() = default;

    // Begins to connect. Throws only bad_alloc; other failures show in socket() and poll_connect().
    static Connection start(const Conninfo::Parameters &parameters);

    [[nodiscard]] explicit operator bool() const noexcept { return conn_ != nullptr; }
    [[nodiscard]] int socket() const noexcept { return PQsocket(conn_.get()); }
    [[nodiscard]] PostgresPollingStatusType poll_connect() noexcept {
        const PostgresPollingStatusType status = PQconnectPoll(conn_.get());
        guard_->note(socket());  // each host has a socket of its own
        return status;
    }
    [[nodiscard]] bool connected() noexcept { return PQstatus(conn_.get()) == CONNECTION_OK; }
    // Needed once after the connect: writes do not block from then on.
    [[nodiscard]] bool set_nonblocking() noexcept { return PQsetnonblocking(conn_.get(), 1) == 0; }

    // The server has said that it ends this idle session; the socket may still be open.
    [[nodiscard]] bool terminated() {
        (void) busy();  // parses what was read
        return !fatal_notice_->message.empty();
    }

    // The host that it is connected to, or that is being tried.
    [[nodiscard]] Host host() const;
    // Why the connection is gone, on one line: what the server said last, else what libpq says.
    [[nodiscard]] Error loss();
    [[nodiscard]] std::string message() const;
    [[nodiscard]] std::string quoted(std::string_view identifier) const;

    // Queues an unnamed statement, whose results come in binary or in text. False: the connection is gone.
    [[nodiscard]] bool send(const std::string &sql, const Params &params, bool binary) noexcept;
    // The same as a pipeline of one statement: while it runs, send_flush() can send a message that asks for nothing.
    // The last result is followed by one that is_pipeline_sync(); then leave_pipeline().
    [[nodiscard]] bool send_in_pipeline(const std::string &sql, const Params &params, bool binary) noexcept;
    [[nodiscard]] bool send_flush() noexcept { return PQsendFlushRequest(conn_.get()) == 1; }
    [[nodiscard]] bool leave_pipeline() noexcept { return PQexitPipelineMode(conn_.get()) == 1; }
    // 0 all sent, 1 more to write when the socket takes it, -1 the connection is gone.
    [[nodiscard]] int flush() noexcept {
        const int left = PQflush(conn_.get());
        conn_.get_deleter().cut = left != 0;
        return left;
    }
    // Reads what the socket has. False: the connection is gone; what came before its end can still be parsed.
    [[nodiscard]] bool consume() noexcept;
    [[nodiscard]] bool busy() noexcept { return PQisBusy(conn_.get()) != 0; }
    // The next result of the statement; empty at its end. Blocks only if busy().
    [[nodiscard]] Result result() noexcept { return Result(PQgetResult(conn_.get())); }
    // Null when there is no connection.
    [[nodiscard]] CancelHandle cancel_handle() const noexcept { return CancelHandle(PQgetCancel(conn_.get())); }
    // The next notification that was read.
    [[nodiscard]] std::optional<Notification> notification();
    // What the other end says its process id is.
    [[nodiscard]] int backend_pid() const noexcept { return PQbackendPID(conn_.get()); }

private:
    // A server that ends an idle session says why in a message that libpq treats as a notice.
    struct FatalNotice {
        std::string message;
        std::string sqlstate;
    };
    std::unique_ptr<FatalNotice> fatal_notice_;  // outlives conn_, which points to it
    std::unique_ptr<ForkGuard> guard_;
    std::unique_ptr<PGconn, FinishConnection> conn_;
};
static_assert(!std::is_copy_constructible_v<Connection> && std::is_nothrow_move_constructible_v<Connection>);

// The last number in a text, if there is one that fits.
[[nodiscard]] std::optional<std::int64_t> last_number(std::string_view text) noexcept;

// Whether the same statement may well succeed when repeated: it had no effect, and the reason passes.
[[nodiscard]] bool is_transient(std::string_view sqlstate) noexcept;

}  // namespace rill::detail
