// See call_pool.hpp.
#include "call_pool.hpp"

#include <chrono>
#include <string>
#include <utility>

namespace rill::detail {
namespace {

constexpr std::chrono::seconds kIdleAtMost{60};

}  // namespace

CallPool::Lease CallPool::take(TimePoint deadline) {
    std::unique_lock lock(mutex_);
    if (closed_)
        throw Closed();
    if (!idle_.empty())
        return {*this, take_idle()};
    if (made_ < limit_) {
        auto connection = std::make_unique<CallConnection>(settings_);
        ++made_;
        return {*this, std::move(connection)};
    }
    Waiter waiter;
    const auto place = waiters_.insert(waiters_.end(), &waiter);
    const auto may_go = [&] { return waiter.given != nullptr || closed_; };
    if (deadline == TimePoint::max())
        waiter.wake.wait(lock, may_go);
    else
        (void) waiter.wake.wait_until(lock, deadline, may_go);
    if (waiter.given != nullptr) {  // and taken off the list
        lock.unlock();
        return {*this, std::move(waiter.given)};
    }
    waiters_.erase(place);
    if (closed_)
        throw Closed();
    throw Error("all connections for calls are busy: none became free within call_timeout (" +
                    std::to_string(settings_.timeout.count()) + " ms)",
                {.sqlstate = "57014",
                 .hint = "Other calls of this client wait in the server, perhaps for a lock. Option call_connections, "
                         "now " +
                         std::to_string(limit_) + ", is how many calls can run at once.",
                 .retryable = true});
}

std::unique_ptr<CallConnection> CallPool::take_idle() noexcept {
    auto connection = std::move(idle_.back().connection);
    idle_.pop_back();
    return connection;
}

void CallPool::put_back(std::unique_ptr<CallConnection> connection) noexcept {
    const TimePoint now = Clock::now();
    {
        const std::scoped_lock lock(mutex_);
        if (!closed_ && !waiters_.empty()) {
            Waiter &first = *waiters_.front();
            waiters_.pop_front();
            first.given = std::move(connection);
            first.wake.notify_one();  // under the lock: the waiter is gone once it sees what it was given
            return;
        }
        try {
            if (closed_)
                --made_;
            else if (connection->connected())
                idle_.push_back({std::move(connection), now});
            else
                idle_.push_front({std::move(connection), now});
        } catch (const std::bad_alloc &) {
            --made_;
        }
    }
    connection.reset();
    trim(now);
}

void CallPool::trim(TimePoint now) noexcept {
    for (;;) {
        std::unique_ptr<CallConnection> old;  // closed without the lock
        const std::scoped_lock lock(mutex_);
        if (idle_.size() < 2 || idle_.front().since + kIdleAtMost > now)
            return;
        old = std::move(idle_.front().connection);
        idle_.pop_front();
        --made_;
    }
}

std::size_t CallPool::made() {
    const std::scoped_lock lock(mutex_);
    return made_;
}

std::size_t CallPool::waiting() {
    const std::scoped_lock lock(mutex_);
    return waiters_.size();
}

void CallPool::close() noexcept {
    {
        const std::scoped_lock lock(mutex_);
        closed_ = true;
        for (Waiter *const waiter : waiters_)
            waiter->wake.notify_one();
    }
    for (;;) {
        std::unique_ptr<CallConnection> idle;  // closed without the lock
        const std::scoped_lock lock(mutex_);
        if (idle_.empty())
            return;
        idle = take_idle();
        --made_;
    }
}

}  // namespace rill::detail
