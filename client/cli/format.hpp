// How values are printed: times, bytes, names on a terminal. Pure.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace rill::cli {

// ISO 8601 in UTC with microseconds, which PostgreSQL reads back exactly.
[[nodiscard]] std::string iso_time(std::chrono::system_clock::time_point time);

[[nodiscard]] bool is_utf8(std::string_view text) noexcept;
[[nodiscard]] std::string base64(std::span<const std::byte> bytes);

// Control characters become \xNN, so that a name cannot control the terminal.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace rill::cli
