// The calls of all threads of a client: who may use the connection for calls, and what is tried again.
//
// Callers take turns, each in its own thread; waiting for the turn counts towards the call's deadline. A call without
// effect is tried a second time if its connection turns out to be lost. Situations it must survive: a call that blocks
// while others wait for their turn, close() meanwhile.
// Thread-safety: call() and close() from any thread.
#pragma once

#include "call_connection.hpp"
#include "conninfo.hpp"
#include "monotonic.hpp"
#include "pq.hpp"
#include "wake_fd.hpp"

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>

namespace rill::detail {

class Calls {
public:
    enum class Effect { none, writes };

    // `conninfo` must outlive this object. A timeout of zero is none.
    Calls(const Conninfo &conninfo, std::chrono::milliseconds timeout)
        : timeout_(timeout), connection_(conninfo, closed_fd_) {}

    // Runs one statement and returns its rows; `sql` is given the extension's quoted schema with its dot. Blocks until
    // the answer has come. Throws Error, and Closed after close().
    [[nodiscard]] Result call(const std::function<std::string(const std::string &schema)> &sql, const Params &params,
                              Effect effect, bool binary = true);

    // Ends calls that are under way, and refuses later ones.
    void close() noexcept;

private:
    class Turn;

    const std::chrono::milliseconds timeout_;
    WakeFd closed_fd_;  // readable from close() on

    std::mutex mutex_;
    std::condition_variable free_;
    bool taken_ = false;         // protected by mutex_
    bool closed_ = false;        // protected by mutex_
    CallConnection connection_;  // belongs to the thread that set taken_
};

}  // namespace rill::detail
