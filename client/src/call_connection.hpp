// One connection for calls that have an answer, driven by the calling thread: it blocks in poll(2) until the answer has
// come, the deadline has passed or the client is closed.
//
// It decides what a lost connection means for the call. Before the statement was sent nothing has happened, and the
// Error is retryable; after that it is unknown whether an append was stored, and the Error is not. Situations it must
// survive: a server that was restarted since the last call, one that does not answer, a lock that is not released
// (which looks the same), a commit whose answer is lost, close() at any moment. Thread-safety: one thread at a time.
#pragma once

#include "connector.hpp"
#include "monotonic.hpp"
#include "session.hpp"
#include "wake_fd.hpp"

#include <string>

namespace rill::detail {

class CallConnection {
public:
    // Every call ends with Closed once `closed` is readable. `conninfo` and `closed` must outlive this object.
    CallConnection(const Conninfo &conninfo, const WakeFd &closed) : closed_(closed), connector_(conninfo, "append") {}

    // Connects, unless there is a session that is still usable.
    void ensure_connected(TimePoint deadline);
    // The quoted schema of the extension, with its dot; known once connected.
    [[nodiscard]] const std::string &schema() const noexcept { return connector_.schema(); }

    // Runs one statement and returns its rows. Throws the statement's Error, or one with connection_lost(); the
    // connection is gone then.
    [[nodiscard]] Result run(const std::string &sql, const Params &params, bool binary, TimePoint deadline);

private:
    enum class Wait { ready, timed_out, closed };
    [[nodiscard]] Wait wait(int fd, short events, TimePoint deadline, short &revents) const;

    const WakeFd &closed_;
    Connector connector_;
    Session session_;
};

// The deadline has passed. `sent`: while the server had the statement.
[[nodiscard]] Error call_timed_out(bool sent);

}  // namespace rill::detail
