// Deleting rows of stream_chunk: a range of ids of one stream.
#pragma once
#include "read/read_snapshot.hpp"

namespace rill {

struct RemovalRange {
    int64 stream_id;
    int64 after;
    int64 through;     // every id up to here is decided
    bool eof;          // an EOF is removed, too; without this the range ends before it
    bool wait;         // for rows that other sessions have locked. Without this, for the worker, the removal ends
                       // before the first one, and when the time of the transaction is up
    int64 counted_to;  // chunks up to here are reported in `counted`
};
struct Removed {
    int64 through;  // everything up to here is gone
    int64 chunks;
    int64 counted;
    int64 counted_bytes;
    bool blocked;  // a row is locked by another session
    bool cut;      // the time was up
};
// Removes the chunks in the range that a new snapshot shows. Under the lock on the stream's state, or of a deleted
// stream.
Removed remove_chunks(const RemovalRange &range);

}  // namespace rill
