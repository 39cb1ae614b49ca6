// How the other threads reach the background loop: "look at this subscription". What happened to it (it is new, it was
// stopped, it has room again) the loop reads from the subscription itself, so messages may be merged and none can
// arrive in the wrong order. Posting allocates nothing and cannot fail.
//
// Lifetime: shared by the loop and every Reader, so a Reader may outlive its Client. After shut() a post closes the
// subscription on the spot. Thread-safety: post() and request_stop() from any thread; the rest by the loop.
#pragma once

#include "wake_fd.hpp"

#include <atomic>
#include <memory>
#include <mutex>

namespace rill::detail {

class Subscription;

class Mailbox {
public:
    void post(const std::shared_ptr<Subscription> &subscription) noexcept;

    void request_stop() noexcept {
        stop_.store(true, std::memory_order_release);
        wake_.signal();
    }
    [[nodiscard]] bool stop_requested() const noexcept { return stop_.load(std::memory_order_acquire); }

    // The next one posted, oldest first; null when there is none.
    [[nodiscard]] std::shared_ptr<Subscription> take() noexcept;

    // From now on the loop takes no more.
    void shut() noexcept;

    [[nodiscard]] const WakeFd &wake() const noexcept { return wake_; }

private:
    WakeFd wake_;
    std::atomic<bool> stop_{false};
    std::mutex mutex_;
    bool open_ = true;                    // protected by mutex_
    std::shared_ptr<Subscription> head_;  // protected by mutex_, as are the links inside the subscriptions
    Subscription *tail_ = nullptr;        // protected by mutex_
};

}  // namespace rill::detail
