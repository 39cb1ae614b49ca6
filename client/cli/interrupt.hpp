// Ctrl-C and SIGTERM for a command that waits: the first asks it to end in order, and ends the process anyway half a
// second later, since it may be stuck in a write or a connect. The exit code is the shell's, 128 + the signal.
#pragma once

#include <functional>

namespace rill::cli {

// Call before any other thread is made: they inherit that the signals are blocked.
void catch_interrupts();

// The signal that came, or 0.
[[nodiscard]] int interrupted() noexcept;

// What to do when it comes, on another thread.
void on_interrupt(std::function<void()> wake);

}  // namespace rill::cli
