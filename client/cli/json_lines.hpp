// Chunks and streams as JSON: one object on one line, with a newline. Pure.
#pragma once

#include "rill/chunk.hpp"
#include "rill/stream_info.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace rill::cli {

// The data is the text `data` if it is valid UTF-8, else `data_base64`.
[[nodiscard]] std::string json_line(std::string_view stream, const Chunk &chunk);
// The end of a stream whose EOF has no data.
[[nodiscard]] std::string json_end(std::string_view stream, std::int64_t id);
[[nodiscard]] std::string json_line(const StreamInfo &info);

}  // namespace rill::cli
