// The rivals inside PostgreSQL: pg_rill in three ways to follow, a plain INSERT, and NOTIFY + LISTEN + SELECT.
// Everything is prepared and binary. schema.sql creates the tables.
#include "rivals.hpp"

#include <rill/rill.hpp>

#include <poll.h>

#include <array>
#include <stdexcept>

namespace bench {

namespace {

/// A statement with a stream and the data, the data in binary.
class SqlWriter : public Writer {
public:
    SqlWriter(const char *sql, bool by_name) : by_name_(by_name) { session_.prepare("append", sql); }

    void append(int stream, std::string_view data) override {
        const std::string which = by_name_ ? stream_name(stream) : std::to_string(stream);
        const std::array<const char *, 2> values = {which.c_str(), data.data()};
        const std::array<int, 2> lengths = {0, static_cast<int>(data.size())};
        const std::array<int, 2> formats = {0, 1};
        const Result result(
            PQexecPrepared(session_.raw(), "append", 2, values.data(), lengths.data(), formats.data(), 1));
        const ExecStatusType status = PQresultStatus(result.get());
        if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
            throw std::runtime_error(PQerrorMessage(session_.raw()));
    }

private:
    Session session_;
    bool by_name_;
};

/// Returns rows (chunk_id, data) one by one; each kind fetches more in its own way.
class SqlFollower : public Follower {
public:
    std::string_view next() override {
        while (at_ >= rows_) {
            result_ = fetch(cursor_);
            rows_ = PQntuples(result_.get());
            at_ = 0;
        }
        cursor_ = int64_at(result_.get(), at_, 0);
        return bytes_at(result_.get(), at_++, 1);
    }

protected:
    virtual Result fetch(std::int64_t cursor) = 0;

    Session session_{reader_conninfo()};
    std::int64_t cursor_ = 0;

private:
    Result result_;
    int rows_ = 0;
    int at_ = 0;
};

class WaitFollower : public SqlFollower {
public:
    explicit WaitFollower(int stream) : name_(stream_name(stream)) {
        session_.prepare("wait", "SELECT stream_wait($1, $2, '1 min')");
        session_.prepare("read", "SELECT chunk_id, data FROM stream_read_since($1, $2)");
        session_.prepare("head", "SELECT stream_head($1)");
        cursor_ = int64_at(session_.execute("head", std::array{name_}).get(), 0, 0);
    }

protected:
    Result fetch(std::int64_t cursor) override {
        const std::array<std::string, 2> parameters = {name_, std::to_string(cursor)};
        session_.execute("wait", parameters);
        return session_.execute("read", parameters);
    }

private:
    std::string name_;
};

class ReadFollower : public SqlFollower {
public:
    explicit ReadFollower(int stream) : name_(stream_name(stream)) {
        session_.prepare("read", "SELECT chunk_id, data FROM stream_read_since($1, $2, 1000, 8388608, '1 min')");
        session_.prepare("head", "SELECT stream_head($1)");
        cursor_ = int64_at(session_.execute("head", std::array{name_}).get(), 0, 0);
    }

protected:
    Result fetch(std::int64_t cursor) override {
        return session_.execute("read", std::array<std::string, 2>{name_, std::to_string(cursor)});
    }

private:
    std::string name_;
};

/// Common practice: on a notification, SELECT the rows after the cursor.
class NotifyFollower : public SqlFollower {
public:
    explicit NotifyFollower(int stream) : stream_(std::to_string(stream)) {
        session_.run("LISTEN chunks");
        session_.prepare("read", "SELECT chunk_id, data FROM notify_chunk WHERE stream_id = $1 AND chunk_id > $2 "
                                 "ORDER BY chunk_id LIMIT 1000");
        session_.prepare("head", "SELECT coalesce(max(chunk_id), 0) FROM notify_chunk WHERE stream_id = $1");
        cursor_ = int64_at(session_.execute("head", std::array{stream_}).get(), 0, 0);
    }

protected:
    Result fetch(std::int64_t cursor) override {
        for (bool told = false; !told;) {
            pollfd socket = {PQsocket(session_.raw()), POLLIN, 0};
            if (poll(&socket, 1, 60'000) < 1 || PQconsumeInput(session_.raw()) == 0)
                throw std::runtime_error("no notification came");
            while (PGnotify *notification = PQnotifies(session_.raw())) {
                PQfreemem(notification);
                told = true;
            }
        }
        return session_.execute("read", std::array<std::string, 2>{stream_, std::to_string(cursor)});
    }

private:
    std::string stream_;
};

class ClientFollower : public Follower {
public:
    explicit ClientFollower(int stream) : reader_(client_.read(stream_name(stream), rill::only_new())) {}

    std::string_view next() override {
        chunk_ = reader_.next();
        return chunk_.value().text();
    }

private:
    rill::Client client_{reader_conninfo()};
    rill::Reader reader_;
    std::optional<rill::Chunk> chunk_;
};

}  // namespace

std::unique_ptr<Writer> postgres_writer(std::string_view kind) {
    if (kind.starts_with("rill"))
        return std::make_unique<SqlWriter>("SELECT stream_append($1, $2)", true);
    if (kind == "plain")
        return std::make_unique<SqlWriter>("INSERT INTO plain_chunk (stream_id, epoch, appended_at, eof, data) "
                                           "VALUES ($1, 1, clock_timestamp(), false, $2)",
                                           false);
    if (kind == "notify")
        return std::make_unique<SqlWriter>("INSERT INTO notify_chunk (stream_id, epoch, appended_at, eof, data) "
                                           "VALUES ($1, 1, clock_timestamp(), false, $2)",
                                           false);
    return nullptr;
}

std::unique_ptr<Follower> postgres_follower(std::string_view kind, int stream) {
    if (kind == "rill")
        return std::make_unique<WaitFollower>(stream);
    if (kind == "rill-read")
        return std::make_unique<ReadFollower>(stream);
    if (kind == "rill-client")
        return std::make_unique<ClientFollower>(stream);
    if (kind == "notify")
        return std::make_unique<NotifyFollower>(stream);
    return nullptr;
}

}  // namespace bench
