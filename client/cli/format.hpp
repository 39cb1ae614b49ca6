// How values are printed: times and bytes. Pure.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <string>

namespace rill::cli {

// ISO 8601 in UTC with microseconds, which PostgreSQL reads back exactly.
[[nodiscard]] std::string iso_time(std::chrono::system_clock::time_point time);

[[nodiscard]] std::string base64(std::span<const std::byte> bytes);

}  // namespace rill::cli
