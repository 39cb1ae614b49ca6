// Removing chunks from the beginning of a stream.
// Why a trim loses nothing: it never removes past a chunk that is readable under its snapshot, so every id up to there
// is decided forever (the stable prefix), and trimmed_through moves in the transaction that deletes the rows.
#pragma once
#include "tables/stream_rows.hpp"

namespace rill {

// The highest id that may be trimmed: a readable one, and no EOF.
int64 highest_trimmable(const StreamRow &row);

// Every id up to `through` must be decided, and none of them an EOF. Returns how many chunks it has removed.
int64 trim_stream(int64 stream_id, int64 through);

}  // namespace rill
