// Reads rows of the server's view stream_info.
#pragma once

#include "pq.hpp"
#include "rill/stream_info.hpp"

#include <string>

namespace rill::detail {

// A query on the view in `schema` (quoted, with its dot); `rest` is what follows the view's name. Its columns are in
// a form that the binary format gives exactly, whatever DateStyle and the like say.
[[nodiscard]] std::string stream_info_query(const std::string &schema, const std::string &rest);
[[nodiscard]] StreamInfo read_stream_info(const Result &rows, int row);

}  // namespace rill::detail
