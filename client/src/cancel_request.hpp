// Asks the server to cancel the statement that a connection runs, without blocking the caller.
//
// libpq's PQcancel() makes a connection of its own and waits for it without a limit (only libpq 17 can do better), so
// it runs in a thread of its own, which the caller does not wait for. The request names the session by a secret that
// the connection was given, so a pooler passes it on, and one that comes late, when the session is gone, does nothing.
//
// Situations it must survive: a server or a network that does not answer (the thread ends when TCP gives up; there are
// never more than a few of them), a client that is destroyed meanwhile, no thread to be had (then nothing is sent).
// Thread-safety: from any thread.
#pragma once

#include "pq.hpp"

#include <atomic>
#include <memory>

namespace rill::detail {

class CancelRequests {
public:
    // Starts one. It has done what it can once `*result` is true. Null: there are too many, or no thread to be had.
    [[nodiscard]] std::shared_ptr<const std::atomic<bool>> send(CancelHandle handle) noexcept;

private:
    const std::shared_ptr<std::atomic<int>> running_ = std::make_shared<std::atomic<int>>(0);  // shared with threads
};

}  // namespace rill::detail
