// What is removed from streams: by stream_trim and stream_delete, and by each stream's retention.
// Rows go in ordinary transactions, under a lock on the stream's row in table `stream` (so that two that remove wait
// for each other), never under its order lock: appends and readers are not held up.
#pragma once
#include "base/arguments.hpp"

namespace rill {

// The batches of the retention worker; each call is one transaction's work.
inline constexpr int kRetentionBatch = 1000;  // chunks removed
inline constexpr int kCountingBatch = 10000;  // chunks counted

// One stream's limits as the worker found them.
struct Limits {
    int64 stream_id;
    StreamName name;
    int64 trimmed_through;
    int64 counted_through;
    int64 counted_chunks;
    int64 counted_bytes;
    TimestampTz keep_since;     // older chunks go; DT_NOBEGIN: no limit
    TimestampTz closed_before;  // the stream goes when its EOF is older; DT_NOBEGIN: never
    int64 max_chunks;           // PG_INT64_MAX: no limit
    int64 max_bytes;
};

struct Removed {
    int64 chunks;
    int64 streams;
    bool more;  // call again for this stream
};
Removed enforce_retention(const Limits &limits);

// Removes what is left of a deleted stream; likewise in batches.
Removed purge_deleted(int64 stream_id);

// Forgets tombstones older than `seconds`, at most a batch of them; returns how many.
int64 forget_tombstones(int seconds);

}  // namespace rill
