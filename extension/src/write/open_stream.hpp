// Finding a stream for a caller who changes it, and creating it if it is new.
#pragma once
#include "base/arguments.hpp"
#include "tables/stream_cache.hpp"
#include "tables/stream_rows.hpp"
#include "write/limits.hpp"

namespace rill {

// What stream_create() gives a new stream.
struct StreamSettings {
    Limits limits;
    Datum metadata;  // jsonb
    bool no_metadata;
};

struct OpenStream {
    int64 id;
    bool own;      // its row was written by this transaction
    bool created;  // by this call
};

// The stream, as the caller may change it (UPDATE), or as this call creates it (INSERT alone); `settings` are
// those of a new one, or null. Raises 42501 otherwise, in the same way whether or not the stream exists.
OpenStream open_or_create(const StreamName &name, const StreamSettings *settings);

// The stream of this name, if it is there and the caller may append to it. Raises 42501 where the caller may only read
// it; one that may not be seen either is not there.
bool find_for_append(const StreamName &name, StreamRow *row);

// The stream of an append, from the session's cache where it can be; created if it is new, or else null. Sets *created
// if this call creates it. The rights are checked each time. The entry is valid until the cache is used again.
CachedStream *open_for_append(const StreamName &name, bool create, bool *created);
// Removes a stream that open_for_append() has created for this append, and that holds nothing.
void remove_created(const StreamName &name, int64 stream_id);

// The stream's row is there, although its row in stream_state is a tombstone. A delete removes the former in the same
// transaction: somebody has written one of them by hand, which must not make others loop.
[[noreturn]] void refuse_tombstone(const StreamName &stream);

}  // namespace rill
