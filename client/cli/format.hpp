// How values are shown: times, JSON objects, names on a terminal. Pure.
#pragma once

#include "rill/chunk.hpp"
#include "rill/stream_info.hpp"

#include <chrono>
#include <span>
#include <string>
#include <string_view>

namespace rill::cli {

// ISO 8601 in UTC with microseconds, as PostgreSQL reads it back exactly.
[[nodiscard]] std::string iso_time(std::chrono::system_clock::time_point time);

[[nodiscard]] bool is_utf8(std::string_view text) noexcept;
[[nodiscard]] std::string base64(std::span<const std::byte> bytes);

// Control characters as \xNN, so that a name cannot play with the terminal.
[[nodiscard]] std::string printable(std::string_view text);

// One JSON object on one line, with a newline. `data` is text when it is valid UTF-8, else there is `data_base64`.
[[nodiscard]] std::string json_line(std::string_view stream, const Chunk &chunk);
// The end of a stream whose EOF holds no data.
[[nodiscard]] std::string json_end(std::string_view stream, std::int64_t id);
[[nodiscard]] std::string json_line(const StreamInfo &info);

}  // namespace rill::cli
