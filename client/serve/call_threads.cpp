// See call_threads.hpp.
#include "call_threads.hpp"

#include <utility>

namespace rill::serve {

CallThreads::CallThreads(std::size_t threads) {
    for (std::size_t i = 0; i < threads; ++i)
        threads_.emplace_back([this] { serve(); });
}

CallThreads::~CallThreads() {
    std::deque<std::function<void()>> dropped;
    {
        const std::scoped_lock lock(mutex_);
        ending_ = true;
        dropped.swap(waiting_);
    }
    changed_.notify_all();
    for (auto &thread : threads_)
        thread.join();
}

void CallThreads::run(std::function<void()> work) {
    {
        const std::scoped_lock lock(mutex_);
        if (ending_)
            return;
        waiting_.push_back(std::move(work));
    }
    changed_.notify_one();
}

void CallThreads::serve() {
    for (;;) {
        std::function<void()> work;
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
            if (ending_)
                return;
            work = std::move(waiting_.front());
            waiting_.pop_front();
        }
        work();
    }
}

}  // namespace rill::serve
