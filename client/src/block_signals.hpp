// Signals are the program's business: its threads get them, not ours. A thread made while one of these lives is born
// with them blocked.
//
// Not those that a thread causes itself: blocked, a fault would end the process past the program's handler for it.
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
