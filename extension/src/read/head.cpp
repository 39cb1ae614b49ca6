// stream_head, and finding heads. See head.hpp.
#include "read/head.hpp"

#include "base/boundary.hpp"
#include "read/stable_prefix_scan.hpp"

namespace rill {

int64 find_head(ReadSnapshot &snapshot, const VisibleStream &stream, const StreamHint &hint) {
    const int64 decided = hint.decided(stream);
    const int64 from = Max(decided - 1, stream.row.trimmed_through);
    ChunkScan &scan = snapshot.scan();
    int64 head = 0;
    scan.start(stream.row.id, from);
    while (scan.next())
        head = scan.id();
    if (head > decided)
        note_readable_after(snapshot, stream, from, head, !scan.stopped());
    // The chunk that the hint is about has been deleted since, and nothing after it is readable.
    if (head == 0 && decided > stream.row.trimmed_through && scan.last_at_or_below(stream.row.id, decided))
        head = scan.id();
    return head;
}

int64 find_head_after(ReadSnapshot &snapshot, const VisibleStream &stream, int64 cursor, const StreamHint &hint) {
    ChunkScan &scan = snapshot.scan();
    scan.start(stream.row.id, Max(cursor, stream.row.trimmed_through));
    int64 head = scan.next() ? scan.id() : 0;
    if (head > 0 && hint.decided(stream) > head)
        return find_head(snapshot, stream, hint);
    while (head > 0 && scan.next())
        head = scan.id();
    if (head > hint.decided(stream))
        note_readable_after(snapshot, stream, cursor, head, !scan.stopped());
    return head;
}

bool is_eof(ReadSnapshot &snapshot, const VisibleStream &stream, int64 id) {
    return stream.exists && id > 0 && snapshot.scan().exactly(stream.row.id, id) && snapshot.scan().eof();
}

}  // namespace rill

// stream_head(stream text) returns bigint
RILL_FUNCTION(pg_rill_head) {
    using namespace rill;
    int64 head = 0;
    with_stream(stream_argument(fcinfo, 0),
                [&head](ReadSnapshot &snapshot, const VisibleStream &stream, const StreamHint &hint) {
                    head = find_head(snapshot, stream, hint);
                });
    return Int64GetDatum(head);
}
