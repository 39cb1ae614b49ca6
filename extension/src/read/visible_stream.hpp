// A stream as the caller may see it under one snapshot. A stream that the caller may not see does not exist for it:
// every function answers the two alike, so nobody learns of a stream by asking for it.
#pragma once
#include "base/arguments.hpp"
#include "read/read_snapshot.hpp"
#include "tables/stream_rows.hpp"

namespace rill {

struct VisibleStream {
    bool exists;
    StreamRow row;
};

// Finds the stream in table `stream` and judges the caller's rights on it, row-level security policies included.
// Without policies this session caches what it found, for the next call (stream_hint.hpp).
VisibleStream find_visible_stream(const StreamName &name, ReadSnapshot &snapshot);

}  // namespace rill
