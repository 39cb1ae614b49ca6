// Ctrl-C and SIGTERM for a command that waits. The first signal requests an orderly end, and ends the process anyway
// half a second later, since it may be stuck in a write or a connect. The exit code is the shell's, 128 + the signal.
#pragma once

#include <functional>

namespace rill::cli {

// Call this before any other thread is started: threads inherit that the signals are blocked.
void catch_interrupts();

// The signal that was received, or 0.
[[nodiscard]] int interrupted() noexcept;

// Sets what to do when a signal is received, on another thread.
void on_interrupt(std::function<void()> wake);

}  // namespace rill::cli
