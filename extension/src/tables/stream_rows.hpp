// The rows of the tables stream and stream_state, by name and by id. No rights are checked here.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

struct StreamRow {
    int64 id;
    int64 trimmed_through;  // every id up to here has been trimmed; 0: none
    int64 begins_after;     // ids up to here were given to an earlier stream of this name; 0: none
    bool own;               // written by this transaction
};

// The stream of that name under the snapshot.
bool find_stream(const char *name, int size, Snapshot snapshot, StreamRow *row);

// The name of a stream, or null if it does not exist.
text *name_of_stream(int64 stream_id, Snapshot snapshot, TimestampTz *created_at = nullptr);

// What the rows of a stream say about it, for functions that return it. Values are palloc'ed.
struct StreamDetails {
    static constexpr int kLimits = 6;  // max_age, max_chunks, max_bytes, delete_after_close, max_idle, expires_at
    TimestampTz created_at;
    Datum metadata;
    bool no_metadata;
    Datum limits[kLimits];
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
};
StreamFate stream_fate(int64 stream_id);

}  // namespace rill
