// What table stream_state records of a stream for removals: how far it has been trimmed, what has been counted, and
// when retention has to look at it next. Every removal locks the row first, so two removals wait for each other;
// appends and readers wait for neither.
#pragma once
#include "tables/spi.hpp"

namespace rill {

struct StreamState {
    int64 trimmed_through;  // no chunk up to here is left
    int64 counted_through;  // chunks and bytes are those of the data chunks with ids in (trimmed_through, this]
    int64 counted_chunks;
    int64 counted_bytes;
};

inline SqlValue int8_value(int64 value) { return {INT8OID, Int64GetDatum(value)}; }

// Locks the row of a stream that is not deleted, until the transaction ends, inserting the row if there is none.
// Without `wait` a row that does not exist, or that another session has locked, counts as absent.
bool lock_stream_state(int64 stream_id, bool wait, StreamState *state);

// Under that lock.
void store_stream_state(int64 stream_id, const StreamState &state);
// The same, with the time when the stream is due next; DT_NOEND: nothing is scheduled.
void store_schedule(int64 stream_id, const StreamState &state, TimestampTz next_due);

}  // namespace rill
