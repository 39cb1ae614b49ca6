// A few threads for librill's calls, which block until the server has answered. The loop's thread never makes one.
//
// Thread-safety: run() from any thread. The destructor waits for the calls that are under way; close the client first,
// so that they end soon. Work that has not begun is dropped.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace rill::serve {

class CallThreads {
public:
    CallThreads(std::size_t threads, std::size_t most_waiting);
    CallThreads(const CallThreads &) = delete;
    CallThreads &operator=(const CallThreads &) = delete;
    ~CallThreads();

    // False: too much is waiting already. The work must not throw.
    [[nodiscard]] bool run(std::function<void()> work);

private:
    void serve();

    const std::size_t most_waiting_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> waiting_;  // protected by mutex_
    bool ending_ = false;                        // protected by mutex_
    std::vector<std::thread> threads_;
};

}  // namespace rill::serve
