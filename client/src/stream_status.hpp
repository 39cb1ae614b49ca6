// Reads rows of the server's function stream_status() and of its view stream_info.
#pragma once

#include "params.hpp"
#include "pq.hpp"
#include "rill/stream_status.hpp"

#include <string>

namespace rill::detail {

// The columns of both, in a form that the binary format gives exactly, whatever DateStyle and the like say. `name` is
// an expression for the first one.
[[nodiscard]] std::string status_columns(const std::string &name);
[[nodiscard]] StreamStatus read_status(const Result &rows, int row);

// The six limits as parameters, in the order of the server's functions.
void add_limits(Params &params, const Limits &limits);
// Text that the server reads as jsonb.
void add_metadata(Params &params, const std::optional<std::string> &metadata);

}  // namespace rill::detail
