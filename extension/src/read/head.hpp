// The head of a stream: the highest readable id, found without reading what lies below it when that is known to be
// decided.
#pragma once
#include "read/stream_hint.hpp"

namespace rill {

// The highest readable id, 0 if there is none.
int64 find_head(ReadSnapshot &snapshot, const VisibleStream &stream, const StreamHint &hint);

// The highest readable id after the cursor, 0 if there is none.
int64 find_head_after(ReadSnapshot &snapshot, const VisibleStream &stream, int64 cursor, const StreamHint &hint);

// The highest readable id of a stream that was read up to `last`, which is readable: at a cost by what comes after it,
// not by what is below.
int64 find_head_beyond(ReadSnapshot &snapshot, const VisibleStream &stream, int64 last, const StreamHint &hint);

// What the head says of the stream.
struct StreamEnd {
    int64 head;       // 0: no chunk is readable, and the rest says nothing
    int32 epoch;      // the head's
    int64 last_data;  // the highest readable id that is not an empty EOF, 0 if there is none
    bool closed;      // the head is the EOF
    TimestampTz at;   // when the head was appended
};
StreamEnd describe_end(ReadSnapshot &snapshot, const VisibleStream &stream, int64 head);

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
