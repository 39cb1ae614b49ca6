// Finding a stream for a caller who changes it, and creating it if it is new.
#pragma once
#include "base/arguments.hpp"
#include "tables/stream_cache.hpp"
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

// The same for an append, from the session's cache where it can be. The rights are checked each time. The entry is
// valid until the cache is used again.
CachedStream *open_for_append(const StreamName &name);

}  // namespace rill
