// See interrupt.hpp.
#include "interrupt.hpp"

#include <atomic>
#include <chrono>
#include <csignal>
#include <mutex>
#include <thread>
#include <utility>

#include <unistd.h>

namespace rill::cli {
namespace {

// Never destroyed: the thread that waits for signals lives as long as the process.
struct State {
    std::atomic<int> signal{0};
    std::mutex mutex;
    std::function<void()> wake;  // protected by mutex
};

State &state() {
    static auto *const the_state = new State;
    return *the_state;
}

}  // namespace

void catch_interrupts() {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int signal : {SIGINT, SIGTERM}) {
        struct sigaction before {};
        // Under nohup, and in background jobs of shell scripts, they are ignored: leave them so.
        if (::sigaction(signal, nullptr, &before) == 0 && before.sa_handler != SIG_IGN)
            ::sigaddset(&set, signal);
    }
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    State &shared = state();
    std::thread([set, &shared] {
        int signal = 0;
        if (::sigwait(&set, &signal) != 0)
            return;
        shared.signal.store(signal);
        std::thread([&shared] {  // it may block, too
            const std::scoped_lock lock(shared.mutex);
            if (shared.wake)
                shared.wake();
        })
            .detach();
        std::this_thread::sleep_for(std::chrono::milliseconds(500));
        ::_exit(128 + signal);
    }).detach();
}

int interrupted() noexcept { return state().signal.load(); }

void on_interrupt(std::function<void()> wake) {
    State &shared = state();
    const std::scoped_lock lock(shared.mutex);
    shared.wake = std::move(wake);
}

}  // namespace rill::cli
