// The head of a stream: the highest readable id, found without reading what lies below it when that is known to be
// decided.
#pragma once
#include "read/stream_hint.hpp"

namespace rill {

// The highest readable id, 0 if there is none.
int64 find_head(ReadSnapshot &snapshot, const VisibleStream &stream, const StreamHint &hint);

// The highest readable id after the cursor, 0 if there is none.
int64 find_head_after(ReadSnapshot &snapshot, const VisibleStream &stream, int64 cursor, const StreamHint &hint);

// Whether the chunk with this id is there and is an EOF.
bool is_eof(ReadSnapshot &snapshot, const VisibleStream &stream, int64 id);

// For questions about one stream as a whole: calls fn(snapshot, stream, hint) if the caller may see it.
template <typename Fn>
void with_stream(const StreamName &name, Fn fn) {
    const StreamHint hint = load_hint(name);
    ReadSnapshot snapshot;
    snapshot.begin();
    const VisibleStream stream = find_visible_stream(name, snapshot);
    if (stream.exists)
        fn(snapshot, stream, hint);
    snapshot.end();
}

}  // namespace rill
