// The rows of the tables stream and stream_state, by name and by id. No rights are checked here.
#pragma once
#include "tables/catalog.hpp"

namespace rill {

struct StreamRow {
    int64 id;
    int64 trimmed_through;  // every id up to here has been trimmed; 0: none
    int64 begins_after;     // ids up to here were given to an earlier stream of this name; 0: none
    bool own;               // written by this transaction
};

// The stream of that name under the snapshot.
bool find_stream(const char *name, int size, Snapshot snapshot, StreamRow *row);

// What a statement of the current transaction sees now: under REPEATABLE READ and above the transaction's snapshot,
// else a new one. To be unregistered.
Snapshot register_current_snapshot();
bool find_current_stream(const char *name, int size, StreamRow *row);

// The name of a stream, or null if it does not exist.
text *name_of_stream(int64 stream_id, Snapshot snapshot, TimestampTz *created_at = nullptr);

// What the rows of a stream say about it, for functions that return it. Values are palloc'ed.
struct StreamDetails {
    TimestampTz created_at;
    Datum metadata;
    bool no_metadata;
    Datum limits[kLimits];  // from column kMaxAge on
    bool no_limit[kLimits];
};
StreamDetails read_details(int64 stream_id, Snapshot snapshot);

// The highest id ever given to deleted streams of that name; 0 when none is recorded.
int64 last_id_of_deleted(const char *name, int size, Snapshot snapshot);

// What table stream_state says about this id right now, committed or not.
struct StreamFate {
    bool deleted;             // by a committed transaction, or by this one
    TransactionId undecided;  // a running transaction that deletes it
    int64 trimmed_through;
    bool limited;  // some version of the row has limits
};
// Ask the index of chunks for its tail before this, not after it: rows that a trim has removed may be vacuumed away as
// soon as it is committed, and then only the row of stream_state tells their ids.
StreamFate stream_fate(int64 stream_id);

inline constexpr int32 kMostMonths = 12 * 5000;  // of a limit that is an interval

// What retention has to know of a stream: its row of stream_state.
struct RetentionRow {
    int64 stream_id;
    bool deleted;
    bool limited;
    int64 trimmed_through;
    int64 counted_through;
    int64 counted_chunks;
    int64 counted_bytes;
    int64 max_chunks;  // PG_INT64_MAX: no limit
    int64 max_bytes;
    const Interval *max_age;  // null: no limit; palloc'ed
    const Interval *delete_after_close;
    const Interval *max_idle;
    TimestampTz expires_at;  // DT_NOEND: never
    TimestampTz touched_at;  // DT_NOBEGIN: never
    TimestampTz next_due;    // DT_NOEND: nothing is scheduled
};
bool read_retention_row(int64 stream_id, Snapshot snapshot, RetentionRow *row);

// Locks a row of `table`, found by a stream id, in the version that the current transaction would change now, without
// waiting for anybody. False if there is no such row, or another session has locked or changed it. With `snapshot` only
// the version that it shows is locked: false if that is not the current one any more.
bool try_lock_row(Oid table, Oid index, int64 stream_id, LockTupleMode mode, Snapshot snapshot = nullptr);

}  // namespace rill
