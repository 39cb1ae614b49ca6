// One connection for calls that have an answer, driven by the calling thread: it blocks in poll(2) until the answer has
// come, the deadline has passed or the client is closed.
//
// A call that runs out of time is not abandoned: the server is asked to cancel it, and the answer is waited for a
// little longer. It tells what became of the call: cancelled without effect, or done after all. Only when that answer
// does not come either is the outcome unknown. The connection is dropped in any case, since a cancel request that is
// late could hit the next statement.
//
// It decides what a lost connection means for the call. Until all of the statement was sent nothing has happened, and
// the Error is retryable; after that the outcome is unknown for a call that changes something. Situations it must
// survive: a server that was restarted since the last call, one that does not answer, a lock that is not released
// (which looks the same), a commit whose answer is lost, a cancel request that arrives before the statement (it is
// repeated), close() at any moment. Thread-safety: one thread at a time.
#pragma once

#include "cancel_request.hpp"
#include "connector.hpp"
#include "monotonic.hpp"
#include "session.hpp"
#include "wake_fd.hpp"

#include <chrono>
#include <string>

namespace rill::detail {

// What repeating a call would do: nothing, or something.
enum class Effect { none, writes };

// What the connections for calls of one client share.
struct CallSettings {
    const Conninfo &conninfo;
    std::chrono::milliseconds timeout;  // zero: none
    // Every call ends with Closed once this is readable.
    const WakeFd &closed;
    CancelRequests &cancels;
};

class CallConnection {
public:
    // What the settings refer to must outlive this object.
    explicit CallConnection(const CallSettings &settings)
        : settings_(settings), connector_(settings.conninfo, "append") {}

    // Connects, unless there is a session that is still usable.
    void ensure_connected(TimePoint deadline);
    [[nodiscard]] bool connected() const noexcept { return session_.state() != Session::State::none; }
    void disconnect() noexcept { session_ = {}; }
    // The quoted schema of the extension, with its dot; known once connected.
    [[nodiscard]] const std::string &schema() const noexcept { return connector_.schema(); }

    // Runs one statement and returns its rows. Throws the statement's Error, or one with connection_lost(); the
    // connection is gone then.
    [[nodiscard]] Result run(const std::string &sql, const Params &params, Effect effect, bool binary,
                             TimePoint deadline);

private:
    enum class Wait { ready, timed_out, closed };
    [[nodiscard]] Wait wait(int fd, short events, TimePoint deadline, Effect running, bool heed_close,
                            short &revents) const;
    [[nodiscard]] Result cancel(Effect effect, bool closing);
    [[nodiscard]] Error lost(Effect effect) const;
    [[nodiscard]] Error timed_out(const std::string &what, Error::Facts facts) const;

    const CallSettings settings_;
    Connector connector_;
    Session session_;
};

}  // namespace rill::detail
