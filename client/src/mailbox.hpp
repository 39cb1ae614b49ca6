// How other threads reach the background loop: "check this subscription". The loop reads from the subscription itself
// what happened to it (it is new, was stopped, has room again), so messages may be merged and cannot arrive in the
// wrong order. Posting allocates nothing and cannot fail.
//
// Lifetime: shared by the loop and every Reader, so a Reader may outlive its Client. After close() a post closes the
// subscription on the spot. Thread-safety: post(), request_stop() and stop_requested() from any thread; the rest by the
// loop.
#pragma once

#include "fork_guard.hpp"
#include "wake_fd.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

namespace rill::detail {

class Subscription;

class Mailbox {
public:
    // False: the loop has ended. The subscription is closed then, and the loop's thread calls nothing any more.
    bool post(const std::shared_ptr<Subscription> &subscription) noexcept;

    void request_stop() noexcept {
        stop_.store(true, std::memory_order_release);
        wake_.signal();
    }
    [[nodiscard]] bool stop_requested() const noexcept { return stop_.load(std::memory_order_acquire); }

    // The next posted subscription, oldest first; null when there is none.
    [[nodiscard]] std::shared_ptr<Subscription> take() noexcept;

    // The loop takes no more posts.
    void close() noexcept;

    [[nodiscard]] const WakeFd &wake() const noexcept { return wake_; }

    // This is a forked child's copy: nothing of it may be used.
    [[nodiscard]] bool foreign() const noexcept { return process_ != process_number(); }

private:
    const std::uint64_t process_ = process_number();
    WakeFd wake_;
    std::atomic<bool> stop_{false};
    std::mutex mutex_;
    bool open_ = true;                    // protected by mutex_
    std::shared_ptr<Subscription> head_;  // protected by mutex_, like the links inside the subscriptions
    Subscription *tail_ = nullptr;        // protected by mutex_
};

}  // namespace rill::detail
