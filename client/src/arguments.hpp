// Checks of what a program passes to a Client, before anything is sent. All throw Error 22023.
#pragma once

#include "rill/options.hpp"
#include "rill/start.hpp"

#include <chrono>
#include <string_view>

namespace rill::detail {

// Returns the options with every duration short enough to be added to the clock.
[[nodiscard]] Options checked_options(Options options);

// Not negative; shortened so that it can be added to the clock.
void check_duration(std::chrono::milliseconds &duration, const char *name);
// 1 to 512 bytes without a zero byte. `what` is what the message calls it.
void check_name(std::string_view name, const char *what);
void check_stream_name(std::string_view stream);
void check_start(const Start &start);

}  // namespace rill::detail
