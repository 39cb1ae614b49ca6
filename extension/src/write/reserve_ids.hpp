// What an append finds at the end of its stream.
#pragma once
#include "write/append.hpp"

namespace rill {

// For `skip`: the ids are likely to be free.
inline constexpr int64 kFreeIds = -1;

// Under the append lock: reserves consecutive ids for the request's chunks, or says why it cannot. With a `refusal`,
// which counts if the stream is open, and for an empty batch it reserves none. After rows of others were found to have
// the reserved ids, the tables are asked and `skip` further ids left out: a COPY that is running stores its next rows
// meanwhile, so from one try to the next the ids go further above it.
Decision reserve_ids(Relation chunks, int64 stream_id, const AppendRequest &request, const AppendOutcome *refusal,
                     int64 skip);

}  // namespace rill
