// Manual pages, in the man macros.
#pragma once

#include "command_doc.hpp"

#include <string>

namespace rill::cli {

// The page rill(1) of the whole, or rill-NAME(1) of a command.
[[nodiscard]] std::string manual_page(const CLI::App &app, const std::string &version);

}  // namespace rill::cli
