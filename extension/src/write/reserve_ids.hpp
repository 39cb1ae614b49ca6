// What an append finds at the end of its stream.
#pragma once
#include "write/append.hpp"

namespace rill {

// Under the append lock: reserves consecutive ids for the request's chunks, or says why it cannot. With a `refusal`,
// which counts if the stream is open, and for an empty batch it reserves none.
Decision reserve_ids(Relation chunks, int64 stream_id, const AppendRequest &request, const AppendOutcome *refusal);

}  // namespace rill
