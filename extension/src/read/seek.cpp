// stream_seek and stream_seek_time: cursors by count and by time.
// The answer is the id of a readable data chunk, or the last trimmed id (0: none), so that it is
// a cursor that can be verified later; an EOF is never skipped, so a reader still meets it.
#include "base/boundary.hpp"
#include "base/result_row.hpp"
#include "base/arguments.hpp"
#include "read/head.hpp"

namespace rill {

namespace {

struct Sought {
    int64 cursor;
    int64 remaining;  // data chunks that are still to be skipped among those to come
};

// Forward past `skip` data chunks, or to the last one there is.
Sought skip_forward(ReadSnapshot &snapshot, const VisibleStream &stream, int64 skip) {
    ChunkScan &scan = snapshot.scan();
    int64 cursor = stream.row.trimmed_through;
    scan.start(stream.row.id, cursor);
    for (; skip > 0 && scan.next() && !scan.eof(); --skip)
        cursor = scan.id();
    return {cursor, skip};
}

// The highest readable data chunk at or below `from` after which `leave` data chunks remain up to there.
int64 leave_behind(ReadSnapshot &snapshot, const VisibleStream &stream, int64 from, int64 leave) {
    ChunkScan &scan = snapshot.scan();
    for (bool any = scan.last_at_or_below(stream.row.id, from); any; any = scan.previous()) {
        CHECK_FOR_INTERRUPTS();
        if (scan.eof())
            continue;
        if (leave-- == 0)
            return scan.id();
    }
    return stream.row.trimmed_through;
}

// Times of one stream do not go back unless the server's clock did, so ids are searched by halves.
int64 before_time(ReadSnapshot &snapshot, const VisibleStream &stream, int64 head, TimestampTz since) {
    ChunkScan &scan = snapshot.scan();
    int64 low = stream.row.trimmed_through + 1;  // the chunk sought has an id in [low, high], or there is none
    int64 high = head + 1;
    while (low < high) {
        CHECK_FOR_INTERRUPTS();
        const int64 middle = low + (high - low) / 2;
        if (scan.first_at_or_above(stream.row.id, middle) && scan.id() <= head && scan.appended_at() < since)
            low = scan.id() + 1;
        else
            high = middle;
    }
    return leave_behind(snapshot, stream, low - 1, 0);
}

}  // namespace

}  // namespace rill

// stream_seek(stream text, skip bigint) returns (chunk_id bigint, remaining bigint)
RILL_FUNCTION(pg_rill_seek) {
    using namespace rill;
    const StreamName name = stream_argument(fcinfo, 0);
    if (PG_ARGISNULL(1))
        refuse_null("skip");
    const int64 skip = PG_GETARG_INT64(1);
    Sought sought = {0, Max(skip, 0)};
    with_stream(name, [&](ReadSnapshot &snapshot, const VisibleStream &stream, const StreamHint &hint) {
        if (skip >= 0) {
            sought = skip_forward(snapshot, stream, skip);
        } else {
            const int64 head = find_head(snapshot, stream, hint);
            sought.cursor = head > 0 ? leave_behind(snapshot, stream, head, skip == PG_INT64_MIN ? PG_INT64_MAX : -skip)
                                     : stream.row.trimmed_through;
        }
    });
    Datum values[2] = {Int64GetDatum(sought.cursor), Int64GetDatum(sought.remaining)};
    bool nulls[2] = {};
    return result_row(fcinfo, values, nulls);
}

// stream_seek_time(stream text, since timestamptz) returns bigint
RILL_FUNCTION(pg_rill_seek_time) {
    using namespace rill;
    const StreamName name = stream_argument(fcinfo, 0);
    if (PG_ARGISNULL(1))
        refuse_null("since");
    const TimestampTz since = PG_GETARG_TIMESTAMPTZ(1);
    int64 cursor = 0;
    with_stream(name, [&](ReadSnapshot &snapshot, const VisibleStream &stream, const StreamHint &hint) {
        const int64 head = find_head(snapshot, stream, hint);
        cursor = head > 0 ? before_time(snapshot, stream, head, since) : stream.row.trimmed_through;
    });
    return Int64GetDatum(cursor);
}
