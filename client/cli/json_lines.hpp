// Chunks and streams as JSON: one object on one line, with a newline. Pure.
#pragma once

#include "rill/chunk.hpp"
#include "sql_session.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace rill::cli {

// The data is the text `data` if it is valid UTF-8, else `data_base64`.
[[nodiscard]] std::string json_line(std::string_view stream, const Chunk &chunk);
// The end of a stream whose EOF has no data.
[[nodiscard]] std::string json_end(std::string_view stream, std::int64_t id);
// A row of stream_query(). A name that is not UTF-8 has marks in it, and name_base64 beside it.
[[nodiscard]] std::string json_stream(const Rows &rows, int row, bool counted);
[[nodiscard]] std::string json_trimmed(std::string_view stream, std::int64_t removed);

}  // namespace rill::cli
