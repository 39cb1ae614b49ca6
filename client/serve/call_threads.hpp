// A few threads for librill's calls, which block until the server has answered. The loop's thread never makes one.
// However much waits for a thread is for the caller to bound.
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
    explicit CallThreads(std::size_t threads);
    CallThreads(const CallThreads &) = delete;
    CallThreads &operator=(const CallThreads &) = delete;
    ~CallThreads();

    // The work must not throw.
    void run(std::function<void()> work);

private:
    void serve();

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> waiting_;  // protected by mutex_
    bool ending_ = false;                        // protected by mutex_
    std::vector<std::thread> threads_;
};

}  // namespace rill::serve
