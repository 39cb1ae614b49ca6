// Enforcing the limits of streams: max_age, max_chunks, max_bytes, delete_after_close, max_idle, expires_at.
#pragma once
#include "base/arguments.hpp"
#include "retention/stream_state.hpp"

namespace rill {

// One stream that has a limit, as its row says.
struct LimitedStream {
    int64 id;
    StreamName name;
    StreamState state;
    TimestampTz keep_since;     // older chunks are removed; DT_NOBEGIN: no limit
    TimestampTz closed_before;  // the stream is deleted when its EOF is older; DT_NOBEGIN: never
    int64 max_chunks;           // PG_INT64_MAX: no limit
    int64 max_bytes;
    bool expired;            // expires_at has passed
    TimestampTz idle_since;  // the stream is deleted when last used before; DT_NOBEGIN: never
    TimestampTz touched_at;  // last use other than an append: touched or created
};

// Streams that have a limit and ids above *after, in order of their ids; returns how many. Names are in `context`.
// *after becomes the last id considered; it does not change when there are no more.
int list_limited(int64 *after, LimitedStream *streams, int room, MemoryContext context);

struct Enforced {
    int64 chunks;   // removed
    int64 streams;  // deleted
    bool more;      // more to count or to remove: reread the stream's row and call again
};
// Removes at most a batch of what the stream's limits no longer allow, in the current transaction. A stream that
// another session has locked or changed is left for the next pass.
Enforced enforce_limits(const LimitedStream &stream);

}  // namespace rill
