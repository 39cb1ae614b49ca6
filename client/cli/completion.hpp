// Completion for shells: commands, options, their values, files, and the names of streams (asked of the server by
// `rill ls`, with the connection options that stand on the line).
#pragma once

#include "command_doc.hpp"

#include <string>

namespace rill::cli {

[[nodiscard]] std::string bash_completion(const CLI::App &app);
[[nodiscard]] std::string zsh_completion(const CLI::App &app);

}  // namespace rill::cli
