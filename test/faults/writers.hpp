// The writing half of the fault test: threads that append to several streams each, through rill::Producer or by plain
// appends, and note what they were told.
//
// A plain append whose outcome is unknown is never repeated: its chunk may be in the table once. A Producer finds out,
// so its chunks are in the table exactly once, whatever happens.
// Situations it must survive: those of the client. An error that no fault explains is a trouble, and fails the test.
// Thread-safety: count(), last_id() and the totals from any thread; written() after join().
#pragma once

#include "checker.hpp"

#include "rill/rill.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace faults {

class WrittenStream {
public:
    explicit WrittenStream(std::string name) : name_(std::move(name)) {}

    void acknowledge(const std::vector<std::string> &chunks, std::int64_t last);
    void unknown(const std::vector<std::string> &chunks);

    [[nodiscard]] const std::string &name() const { return name_; }
    // Of acknowledged appends.
    [[nodiscard]] std::uint64_t count() const { return count_; }
    [[nodiscard]] std::int64_t last_id() const { return last_id_; }
    [[nodiscard]] const Written &written() const { return written_; }

private:
    std::string name_;
    std::mutex mutex_;
    Written written_;
    std::atomic<std::uint64_t> count_{0};
    std::atomic<std::int64_t> last_id_{0};
};

class Writers {
public:
    struct Plan {
        std::vector<std::string> conninfos;  // one client each
        std::size_t threads;
        std::chrono::milliseconds pause;  // between two appends of a thread
        rill::Options options;
        std::uint64_t seed;
    };

    Writers(const Plan &plan, std::vector<std::unique_ptr<WrittenStream>> &streams);
    ~Writers();
    Writers(const Writers &) = delete;
    Writers &operator=(const Writers &) = delete;

    void run();
    // The threads close the streams, once none appends any more, and end.
    void finish() { finishing_ = true; }
    [[nodiscard]] bool finished() const { return running_ == 0; }
    void join();

    // How many appends had to be tried again, and how many have an unknown outcome.
    [[nodiscard]] std::uint64_t retries() const { return retries_; }
    [[nodiscard]] std::uint64_t unknowns() const { return unknowns_; }
    [[nodiscard]] std::vector<std::string> troubles();

private:
    struct Lane;
    class Thread;

    std::chrono::milliseconds pause_;
    std::vector<std::unique_ptr<rill::Client>> clients_;
    std::vector<std::unique_ptr<Thread>> threads_;
    std::atomic<bool> finishing_{false};
    std::atomic<std::size_t> appending_{0};  // threads
    std::atomic<std::size_t> running_{0};    // threads
    std::atomic<std::uint64_t> retries_{0};
    std::atomic<std::uint64_t> unknowns_{0};
    std::mutex mutex_;
    std::vector<std::string> troubles_;
};

}  // namespace faults
