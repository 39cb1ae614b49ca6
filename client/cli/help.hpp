// The text that `rill help` and --help print.
#pragma once

#include "command_doc.hpp"

#include <string>

namespace rill::cli {

// 80 columns. Of the whole: the commands; of a command: its arguments and options.
[[nodiscard]] std::string help_text(const CLI::App &app);

}  // namespace rill::cli
