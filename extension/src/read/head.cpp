// stream_head, and finding heads. See head.hpp.
#include "read/head.hpp"

#include "base/boundary.hpp"
#include "read/stable_prefix_scan.hpp"

namespace rill {

namespace {

// Whether the snapshot S holds every transaction for ended that can have inserted a row below one that S shows. Such a
// row was physically there before S (chunk_scan.hpp), so its inserter is older than the next transaction id as it is
// now. A server on which nothing else writes then needs no scan to find a head.
bool nothing_is_undecided(Snapshot s) {
    return !s->takenDuringRecovery && s->snapshot_type == SNAPSHOT_MVCC && TransactionIdEquals(s->xmin, s->xmax) &&
           !s->suboverflowed && TransactionIdEquals(ReadNextTransactionId(), s->xmax);
}

}  // namespace

int64 find_head(ReadSnapshot &snapshot, const VisibleStream &stream, const StreamHint &hint) {
    const int64 decided = hint.decided(stream);
    if (decided == 0 && nothing_is_undecided(snapshot.snapshot())) {
        const int64 last = snapshot.scan().last_at_or_below(stream.row.id, PG_INT64_MAX) ? snapshot.scan().id() : 0;
        note_readable_after(snapshot, stream, stream.row.trimmed_through, last, true);
        return last;
    }
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

int64 find_head_beyond(ReadSnapshot &snapshot, const VisibleStream &stream, int64 last, const StreamHint &hint) {
    constexpr int kFewChunks = 1000;
    if (hint.decided(stream) > last)
        return find_head(snapshot, stream, hint);
    // From the stream's first chunk on, where a long search lets the next one be short: others learn of what it found.
    const bool shared_search =
        shared != nullptr && !IsolationUsesXactSnapshot() && !TransactionIdIsValid(GetTopTransactionIdIfAny());
    ChunkScan &scan = snapshot.scan();
    int64 head = last;
    scan.start(stream.row.id, last);
    for (int n = 0; scan.next(); head = scan.id())
        if (++n > kFewChunks && shared_search)
            return find_head(snapshot, stream, hint);
    return head;
}

StreamEnd describe_end(ReadSnapshot &snapshot, const VisibleStream &stream, int64 head) {
    StreamEnd end = {};
    ChunkScan &scan = snapshot.scan();
    if (head == 0 || !scan.exactly(stream.row.id, head))
        return end;
    end = {head, scan.epoch(), 0, scan.eof(), scan.appended_at()};
    // Everything below the head is decided, so the scan downward needs no stop rule.
    const bool empty_eof = scan.eof() && scan.size() == 0;
    if (!empty_eof || scan.last_at_or_below(stream.row.id, head - 1))
        end.last_data = scan.id();
    return end;
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
