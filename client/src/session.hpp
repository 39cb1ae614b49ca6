// A session on the server and the one statement that may run in it: sent, read and finished without ever blocking.
//
//   from       event                                        to
//   none       (a session that was moved from, or closed)
//   idle       send()                                       running
//   idle       send_interruptible()                         interruptible
//   running, interruptible
//              its last result has come                     idle      Progress::answered
//   any        the connection has ended or is broken        none      Progress::lost, loss() says why
//
// Whoever owns a session keeps the time: nothing here has a deadline. Situations it must survive: a connection that
// ends in the middle of an answer or right behind it, an error of libpq's own, a server that ends the session with a
// last message. Thread-safety: one thread at a time.
#pragma once

#include "pq.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace rill::detail {

// Whether what poll(2) said of a socket means that there is something to read, its end included.
[[nodiscard]] bool has_input(short revents) noexcept;

class Session {
public:
    enum class State { none, idle, running, interruptible };
    enum class Progress { pending, answered, lost };

    Session() = default;
    // Over a connection that is made, before its first statement.
    explicit Session(Connection connection);

    [[nodiscard]] State state() const noexcept { return state_; }
    // For poll(2).
    [[nodiscard]] int fd() const noexcept { return connection_.socket(); }
    [[nodiscard]] short events() const noexcept { return events_; }

    // Start a statement in an idle session. False: the connection is gone, which the next advance() reports.
    bool send(const std::string &sql, const Params &params, bool binary) noexcept;
    // For a statement that waits in the server: interrupt() makes it end early.
    bool send_interruptible(const std::string &sql, const Params &params, bool binary) noexcept;
    // Ends a wait in the server, if the server reads this while the statement waits: it takes any message from its
    // client for the request to end. A message that it reads together with the statement has no effect, so the caller
    // repeats this until the answer comes. False as for send().
    bool interrupt() noexcept;

    // Reads and writes what it can; `revents` is what poll(2) said of fd(). An idle session reads notifications.
    [[nodiscard]] Progress advance(short revents);
    // After Progress::answered: the rows or the error of the statement.
    [[nodiscard]] Result take_result() noexcept { return std::move(result_); }
    // After Progress::lost. Always connection_lost() and never retryable().
    [[nodiscard]] const Error &loss() const noexcept { return loss_; }

    // Whether an idle session still exists as far as can be seen without asking the server. Reads what has come.
    [[nodiscard]] bool usable();
    [[nodiscard]] std::optional<std::string> notification() { return connection_.notification(); }
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
    Result result_;
    Error loss_{"not connected"};
};

}  // namespace rill::detail
