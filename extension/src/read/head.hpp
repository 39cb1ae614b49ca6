// The head of a stream: the highest readable id, found without reading what lies below it when that is known to be
// decided.
#pragma once
#include "read/stream_hint.hpp"

namespace rill {

// The highest readable id, 0 if there is none.
int64 find_head(ReadSnapshot &snapshot, const VisibleStream &stream, const StreamHint &hint);

// The highest readable id after the cursor, 0 if there is none.
int64 find_head_after(ReadSnapshot &snapshot, const VisibleStream &stream, int64 cursor, const StreamHint &hint);

// Whether the chunk with this id is there and is an EOF.
bool is_eof(ReadSnapshot &snapshot, const VisibleStream &stream, int64 id);

}  // namespace rill
