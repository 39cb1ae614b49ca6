// Which readers have something to read, from their on_ready callbacks to the thread that prints. Shared with the
// callbacks, which may still run for a moment after their reader has stopped.
// Thread-safety: post() and wake() from any thread, take() by one.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>

namespace rill::cli {

class ReadyQueue {
public:
    void post(std::size_t reader) {
        {
            const std::scoped_lock lock(mutex_);
            queue_.push_back(reader);
        }
        changed_.notify_one();
    }

    // The next reader. nullopt after wake(), and after a second, so that the caller can check its surroundings.
    std::optional<std::size_t> take() {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, std::chrono::seconds(1), [&] { return !queue_.empty() || woken_; });
        if (queue_.empty() || woken_)
            return std::nullopt;
        const std::size_t first = queue_.front();
        queue_.pop_front();
        return first;
    }

    // From now on take() returns at once.
    void wake() {
        {
            const std::scoped_lock lock(mutex_);
            woken_ = true;
        }
        changed_.notify_one();
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::size_t> queue_;
    bool woken_ = false;
};

}  // namespace rill::cli
