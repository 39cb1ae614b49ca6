// Follows streams with C++20 coroutines, one for each stream, all on one thread: co_await suspends until on_ready().
// Usage: 07_coroutine CONNINFO STREAM...
#include <rill/rill.hpp>

#include <chrono>
#include <condition_variable>
#include <coroutine>
#include <deque>
#include <exception>
#include <iostream>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace {

// The coroutines that can go on, posted by the client's background thread and resumed by run().
class Scheduler {
public:
    void post(std::coroutine_handle<> coroutine) {
        const std::scoped_lock lock(mutex_);
        ready_.push_back(coroutine);
        changed_.notify_one();
    }
    void started() { ++running_; }
    void finished(std::exception_ptr error) {
        --running_;
        if (error != nullptr)
            error_ = std::move(error);
    }
    // Until all have finished, or one has failed.
    void run() {
        while (running_ > 0 && error_ == nullptr) {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [&] { return !ready_.empty(); });
            const auto coroutine = ready_.front();
            ready_.pop_front();
            lock.unlock();
            coroutine.resume();
        }
        if (error_ != nullptr)
            std::rethrow_exception(error_);
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::coroutine_handle<>> ready_;  // protected by mutex_
    int running_ = 0;
    std::exception_ptr error_;
};

// A coroutine that runs until it suspends, and frees itself at its end.
struct Task {
    struct promise_type {
        template <typename... Arguments>
        explicit promise_type(Scheduler &in, Arguments &&...) : scheduler(in) {
            scheduler.started();
        }
        Task get_return_object() { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() { scheduler.finished(nullptr); }
        void unhandled_exception() { scheduler.finished(std::current_exception()); }
        Scheduler &scheduler;
    };
};

// co_await readiness: until the reader may have something new. What was announced in between is not missed.
class Readiness {
public:
    Readiness(Scheduler &scheduler, rill::Reader &reader) : state_(std::make_shared<State>(scheduler)) {
        // Shared, because the callback may still run for a moment after the reader has stopped.
        reader.on_ready([state = state_] {
            const std::scoped_lock lock(state->mutex);
            state->announced = true;
            if (const auto waiting = std::exchange(state->waiting, nullptr))
                state->scheduler.post(waiting);
        });
    }

    bool await_ready() {
        const std::scoped_lock lock(state_->mutex);
        return std::exchange(state_->announced, false);
    }
    bool await_suspend(std::coroutine_handle<> coroutine) {
        const std::scoped_lock lock(state_->mutex);
        if (state_->announced)
            return false;
        state_->waiting = coroutine;
        return true;
    }
    void await_resume() {
        const std::scoped_lock lock(state_->mutex);
        state_->announced = false;
    }

private:
    struct State {
        explicit State(Scheduler &in) : scheduler(in) {}
        Scheduler &scheduler;
        std::mutex mutex;
        std::coroutine_handle<> waiting;  // protected by mutex, like `announced`
        bool announced = false;
    };
    std::shared_ptr<State> state_;
};

Task follow(Scheduler &scheduler, rill::Client &client, std::string stream) {
    auto reader = client.read(stream);
    Readiness readiness(scheduler, reader);
    while (!reader.ended()) {
        while (const auto chunk = reader.next(std::chrono::nanoseconds(0)))
            std::cout << stream << ' ' << chunk->id << ' ' << chunk->text() << std::endl;
        if (!reader.ended())
            co_await readiness;
    }
}

}  // namespace

int main(int argc, char **argv) {
    try {
        // In this order: when the client is gone, no callback can reach the scheduler any more.
        Scheduler scheduler;
        rill::Client client(argc > 1 ? argv[1] : "");
        for (int i = 2; i < argc; ++i)
            follow(scheduler, client, argv[i]);
        scheduler.run();
        return 0;
    } catch (const rill::Error &error) {
        std::cerr << "example: " << error.what() << '\n';
        return 1;
    }
}
