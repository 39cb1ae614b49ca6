// Finding a stream for a caller who changes it, and creating it if it is new.
#pragma once
#include "base/arguments.hpp"

namespace rill {

// Columns max_age, max_chunks, max_bytes, delete_after_close as they come from the caller.
struct Retention {
    Datum values[4];
    bool nulls[4];
};

struct OpenStream {
    int64 id;
    bool own;      // its row was written by this very transaction
    bool created;  // by this call
};

// The stream, as the caller may change it (UPDATE), or as this call creates it (INSERT alone).
// Raises 42501 otherwise, in the same way whether or not the stream exists.
OpenStream open_or_create(const StreamName &name, const Retention *retention);

}  // namespace rill
