// Signals belong to the program: its threads receive them, not the library's. A thread that is created while one of
// these objects lives starts with them blocked.
//
// Signals that a thread raises by its own fault stay unblocked: blocked, they would end the process without running the
// handler that the program may have installed.
#pragma once

#include <csignal>

namespace rill::detail {

class BlockSignals {
public:
    BlockSignals() noexcept {
        sigset_t all;
        ::sigfillset(&all);
        for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, SIGPROF})
            ::sigdelset(&all, own);
        ::pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    BlockSignals(const BlockSignals &) = delete;
    BlockSignals &operator=(const BlockSignals &) = delete;
    ~BlockSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

private:
    sigset_t before_{};
};

}  // namespace rill::detail
