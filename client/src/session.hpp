// A session on the server and the one statement that may run in it: sent, read and finished without ever blocking.
//
//   from       event                                        to
//   none       Session(connection)                          idle
//   idle       send()                                       running
//   idle       send_interruptible()                         interruptible
//   running, interruptible
//              its last result has come                     idle      Progress::answered
//   any        the connection has ended or is broken        none      Progress::lost, loss() says why
//
// Deadlines are the owner's business: nothing here has one. Situations it must survive: a connection that ends in the
// middle of an answer or right behind it, an error of libpq's own, a server that ends the session with a last message.
// Thread-safety: one thread at a time.
#pragma once

#include "pq.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace rill::detail {

// Whether poll(2) returned something to read for a socket, its end included.
[[nodiscard]] bool has_input(short revents) noexcept;

class Session {
public:
    enum class State { none, idle, running, interruptible };
    enum class Progress { pending, answered, lost };

    Session() = default;
    // Of a connection that has just been established.
    explicit Session(Connection connection);

    [[nodiscard]] State state() const noexcept { return state_; }
    // For poll(2).
    [[nodiscard]] int fd() const noexcept { return connection_.socket(); }
    [[nodiscard]] short events() const noexcept { return events_; }

    // Start a statement in an idle session. False: the connection is gone, which the next advance() reports.
    bool send(const std::string &sql, const Params &params, bool binary) noexcept;
    // For a statement that waits in the server: interrupt() makes it end early.
    bool send_interruptible(const std::string &sql, const Params &params, bool binary) noexcept;
    // Requests the end of a wait in the server. To the server any message from its client is such a request, if it
    // arrives while the statement waits. One that is read together with the statement has no effect, so the caller
    // repeats this until the answer comes. False as for send().
    bool interrupt() noexcept;

    // Reads and writes what it can; `revents` is what poll(2) returned for fd(). An idle session reads notifications.
    [[nodiscard]] Progress advance(short revents);
    // Whether all of the last statement has been handed to the network. Before that the server cannot have executed it,
    // and never will if this session is given up: its end is missing. Still known when the session is lost.
    [[nodiscard]] bool sent() const noexcept { return sent_; }
    // For the statement that runs. Null when the connection is gone.
    [[nodiscard]] CancelHandle cancel_handle() const noexcept { return connection_.cancel_handle(); }
    // After Progress::answered: the rows or the error of the statement.
    [[nodiscard]] Result take_result() noexcept { return std::move(result_); }
    // After Progress::lost. Always connection_lost() and never retryable().
    [[nodiscard]] const Error &loss() const noexcept { return loss_; }

    // Whether the session is idle and, as far as this side can see, still exists. Reads what has arrived.
    [[nodiscard]] bool usable();
    [[nodiscard]] std::optional<Notification> notification() { return connection_.notification(); }
    [[nodiscard]] int backend_pid() const noexcept { return connection_.backend_pid(); }
    [[nodiscard]] std::string quoted(std::string_view identifier) const { return connection_.quoted(identifier); }

private:
    bool started(bool sent, State state) noexcept;
    [[nodiscard]] bool flush() noexcept;
    [[nodiscard]] bool read_results();
    [[nodiscard]] Progress finish();
    [[nodiscard]] Progress lose(Error why);

    Connection connection_;
    State state_ = State::none;
    short events_ = 0;
    bool broken_ = false;  // sending has failed
    bool sent_ = false;
    Result result_;
    Error loss_{"not connected"};
};

}  // namespace rill::detail
