// What an append finds at the end of its stream.
#pragma once
#include "write/append.hpp"

namespace rill {

// Under the append lock: reserves consecutive ids for the request's chunks, or says why it cannot.
Decision reserve_ids(Relation chunks, int64 stream_id, const AppendRequest &request);

}  // namespace rill
