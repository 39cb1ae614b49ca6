// See enforce_limits.hpp.
// A stream is not counted from its beginning each time: its row keeps the counts of the chunks up to counted_through,
// the rest is counted here, and deleted chunks are subtracted. The counts are stored only with a removal or after many
// chunks, since each update writes a new version of the row; otherwise they are counted again in the next pass.
// Must survive: limits set by hand to any value, and sessions that trim, delete or lock the stream meanwhile.
#include "retention/enforce_limits.hpp"

#include "read/read_snapshot.hpp"
#include "retention/delete_stream.hpp"
#include "retention/trim.hpp"
#include "tables/catalog.hpp"
#include "tables/chunk_tail.hpp"

namespace rill {

namespace {

constexpr int kRemovalBatch = 1000;    // chunks removed in one transaction
constexpr int kCountingBatch = 10000;  // chunks counted

// Whether the stream itself is to be deleted: it expired, was idle for too long, or was closed long enough ago.
bool is_over(Relation chunks, const LimitedStream &stream) {
    if (stream.expired)
        return true;
    if (stream.closed_before == DT_NOBEGIN && stream.idle_since == DT_NOBEGIN)
        return false;
    const Tail tail = read_tail(chunks, stream.id);
    if (TransactionIdIsValid(tail.undecided))
        return false;
    if (stream.closed_before != DT_NOBEGIN && tail.eof && tail.appended_at <= stream.closed_before)
        return true;
    return stream.idle_since != DT_NOBEGIN && stream.touched_at <= stream.idle_since &&
           (!tail.any || tail.appended_at <= stream.idle_since);
}

// Counts data chunks behind counted_through, at most a batch; returns how many.
int64 count_chunks(ChunkScan &scan, int64 stream_id, StreamState *state) {
    int64 counted = 0;
    scan.start(stream_id, state->counted_through);
    for (; counted < kCountingBatch && scan.next() && !scan.eof(); ++counted) {
        state->counted_through = scan.id();
        ++state->counted_chunks;
        state->counted_bytes += scan.size();
    }
    return counted;
}

// How many chunks at the beginning exceed the limits, at most a batch, and the id of the last of them.
int find_expired(ChunkScan &scan, const LimitedStream &stream, const StreamState &state, int64 *through) {
    int64 chunks = state.counted_chunks;
    int64 bytes = state.counted_bytes;
    int expired = 0;
    *through = state.trimmed_through;
    scan.start(stream.id, state.trimmed_through);
    for (; expired < kRemovalBatch && scan.next() && !scan.eof(); ++expired) {
        if (scan.appended_at() >= stream.keep_since && chunks <= stream.max_chunks && bytes <= stream.max_bytes)
            break;
        *through = scan.id();
        if (*through <= state.counted_through) {
            --chunks;
            bytes -= scan.size();
        }
    }
    return expired;
}

}  // namespace

// An interval beyond the range of timestamps must not fail, however it got there. Names come from table stream, which
// may have another owner, so they take a separate lookup, not a join.
int list_limited(int64 *after, LimitedStream *streams, int room, MemoryContext context) {
    int listed = 0;
    int n = 0;
    constexpr const char *kLongAgo =
        "CASE WHEN %s IS NOT NULL THEN pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-)"
        " LEAST(GREATEST(%s, '0'::pg_catalog.interval), '5000 years'::pg_catalog.interval) END";
    const OwnerScope owner(tables().state);
    (void) run_sql(psprintf("SELECT stream_id, trimmed_through, counted_through, counted_chunks, counted_bytes,"
                            " %s, %s, max_chunks, max_bytes,"
                            " expires_at OPERATOR(pg_catalog.<=) pg_catalog.clock_timestamp(), %s, touched_at"
                            " FROM ONLY %s WHERE deleted_at IS NULL"
                            " AND (max_age IS NOT NULL OR max_chunks IS NOT NULL OR max_bytes IS NOT NULL"
                            " OR delete_after_close IS NOT NULL OR max_idle IS NOT NULL OR expires_at IS NOT NULL)"
                            " AND stream_id OPERATOR(pg_catalog.>) $1 ORDER BY stream_id LIMIT %d",
                            psprintf(kLongAgo, "max_age", "max_age"),
                            psprintf(kLongAgo, "delete_after_close", "delete_after_close"),
                            psprintf(kLongAgo, "max_idle", "max_idle"), qualified_table("stream_state"), room),
                   {int8_value(*after)}, SPI_OK_SELECT, [&](const SqlRow &row) {
                       ++listed;
                       streams[n++] = {row.int8(1),
                                       {},
                                       {row.int8(2), row.int8(3), row.int8(4), row.int8(5)},
                                       row.is_null(6) ? DT_NOBEGIN : row.int8(6),
                                       row.is_null(7) ? DT_NOBEGIN : row.int8(7),
                                       row.is_null(8) ? PG_INT64_MAX : row.int8(8),
                                       row.is_null(9) ? PG_INT64_MAX : row.int8(9),
                                       row.int8(10) != 0,
                                       row.is_null(11) ? DT_NOBEGIN : row.int8(11),
                                       row.is_null(12) ? DT_NOBEGIN : row.int8(12)};
                   });
    owner.leave();
    if (listed > 0)
        *after = streams[listed - 1].id;
    const MemoryContext old = MemoryContextSwitchTo(context);
    n = 0;
    for (int i = 0; i < listed; ++i) {
        TimestampTz created_at;
        text *name = name_of_stream(streams[i].id, GetActiveSnapshot(), &created_at);
        if (name == nullptr)
            continue;  // limits of a stream that does not exist
        streams[i].name = stream_name(name, "stream");
        streams[i].touched_at = Max(streams[i].touched_at, created_at);
        streams[n++] = streams[i];
    }
    MemoryContextSwitchTo(old);
    return n;
}

Enforced enforce_limits(const LimitedStream &stream) {
    Enforced enforced = {0, 0, false};
    ReadSnapshot snapshot;
    snapshot.begin();
    if (is_over(snapshot.chunks(), stream)) {
        snapshot.end();
        enforced.streams = delete_stream(stream.name, stream.id, false) ? 1 : 0;
        return enforced;
    }
    StreamState state = stream.state;
    state.counted_through = Max(state.counted_through, state.trimmed_through);
    int64 counted = 0;
    if (stream.max_chunks < PG_INT64_MAX || stream.max_bytes < PG_INT64_MAX)
        counted = count_chunks(snapshot.scan(), stream.id, &state);
    int64 through;
    const int expired = find_expired(snapshot.scan(), stream, state, &through);
    snapshot.end();
    if (expired == 0 && counted < kCountingBatch)
        return enforced;
    enforced.more = counted == kCountingBatch || expired == kRemovalBatch;

    StreamState now;
    if (!lock_stream_state(stream.id, false, &now) || now.trimmed_through != stream.state.trimmed_through ||
        now.counted_through != stream.state.counted_through)
        enforced.more = false;  // another session is working on it
    else {
        if (expired > 0)
            enforced.chunks = delete_chunks(stream.id, state.trimmed_through, through, &state);
        state.trimmed_through = through;
        state.counted_through = Max(state.counted_through, through);
        store_stream_state(stream.id, state);
    }
    return enforced;
}

}  // namespace rill
