// What the commands say of streams and errors. The output escapes what a terminal must not get. Pure.
#pragma once

#include "rill/error.hpp"

#include <string>

namespace rill::cli {

[[nodiscard]] inline std::string quoted_stream(const std::string &name) { return "stream \"" + name + "\""; }

[[nodiscard]] inline std::string no_such_stream(const std::string &name) {
    return quoted_stream(name) + " does not exist, or this role may not see it";
}

// The message with its hint.
[[nodiscard]] inline std::string message_of(const Error &error) {
    const std::string message = error.what();
    return error.hint().empty() ? message : message + " (" + error.hint() + ")";
}

// The same; names the stream if the message does not.
[[nodiscard]] inline std::string about_stream(const std::string &name, const Error &error) {
    const bool named = std::string(error.what()).find('"' + name + '"') != std::string::npos;
    return named ? message_of(error) : quoted_stream(name) + ": " + message_of(error);
}

}  // namespace rill::cli
