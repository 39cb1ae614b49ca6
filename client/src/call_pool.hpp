// The connections for calls of one client: made when needed, up to a limit, so that a call that blocks in the server
// holds up no other.
//
// A call takes the connection that was used last, so that those beyond the present need become idle and are closed
// after a minute; one is kept. When all are busy, calls wait in the order in which they came, and a connection that
// becomes free is handed to the first: no thread that calls again and again overtakes one that waits.
//
// Situations it must survive: every connection blocked until its call's timeout, close() meanwhile, a pool that
// outlives its close() by hours (a Producer shares it, and no connection may be left), connections that are lost while
// they are idle (they are used last; their Connector remembers which host did not answer).
// Thread-safety: all methods from any thread.
#pragma once

#include "call_connection.hpp"
#include "monotonic.hpp"

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <list>
#include <memory>
#include <mutex>

namespace rill::detail {

class CallPool {
public:
    // The right to use a connection. The pool must outlive it.
    class Lease {
    public:
        Lease(CallPool &pool, std::unique_ptr<CallConnection> connection) noexcept
            : pool_(pool), connection_(std::move(connection)) {}
        Lease(const Lease &) = delete;
        Lease &operator=(const Lease &) = delete;
        ~Lease() { pool_.put_back(std::move(connection_)); }
        [[nodiscard]] CallConnection *operator->() const noexcept { return connection_.get(); }

    private:
        CallPool &pool_;
        std::unique_ptr<CallConnection> connection_;
    };

    CallPool(const CallSettings &settings, std::size_t limit) : settings_(settings), limit_(limit) {}

    // Waits for a connection if all are busy. Throws Error at the deadline, and Closed after close().
    [[nodiscard]] Lease take(TimePoint deadline);
    // Closes what has been idle for long. Never blocks on the network.
    void trim(TimePoint now) noexcept;
    // Refuses further calls, those that wait included, and closes the connections, those in use when their call ends.
    void close() noexcept;

    // How many connections there are, and how many calls wait for one.
    [[nodiscard]] std::size_t made();
    [[nodiscard]] std::size_t waiting();

private:
    struct Waiter {
        std::condition_variable wake;
        std::unique_ptr<CallConnection> given;
    };
    struct Idle {
        std::unique_ptr<CallConnection> connection;
        TimePoint since;
    };

    [[nodiscard]] std::unique_ptr<CallConnection> take_idle() noexcept;
    void put_back(std::unique_ptr<CallConnection> connection) noexcept;

    const CallSettings settings_;
    const std::size_t limit_;

    std::mutex mutex_;
    // Protected by mutex_.
    std::deque<Idle> idle_;        // the one that was used last is at the end
    std::list<Waiter *> waiters_;  // in the order in which they came; each lives on its thread's stack
    std::size_t made_ = 0;
    bool closed_ = false;
};

}  // namespace rill::detail
