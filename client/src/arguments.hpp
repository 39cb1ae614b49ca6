// Checks of what a program passes to a Client, before anything is sent. All throw Error 22023.
#pragma once

#include "rill/options.hpp"
#include "rill/start.hpp"

#include <string_view>

namespace rill::detail {

// Returns the options with every duration short enough to be added to the clock.
[[nodiscard]] Options checked_options(Options options);

void check_stream_name(std::string_view stream);
void check_start(const Start &start);

}  // namespace rill::detail
