// What the views stream_info and stream_stat show.
// Counts of a stream are taken from its rows when asked for: they are exact and cost a scan of
// that stream; a column that is not selected costs nothing.
#include "base/boundary.hpp"
#include "read/head.hpp"
#include "read/stable_prefix_scan.hpp"
#include "tables/privileges.hpp"
#include "shmem/wait_list.hpp"

// stream_measure(stream text) returns (chunks bigint, bytes bigint)
RILL_FUNCTION(pg_rill_measure) {
    using namespace rill;
    const StreamName name = stream_argument(fcinfo, 0);
    TupleDesc desc;
    if (get_call_result_type(fcinfo, nullptr, &desc) != TYPEFUNC_COMPOSITE)
        elog(ERROR, "return type must be a row type");
    ReadSnapshot snapshot;
    snapshot.begin();
    const VisibleStream stream = find_visible_stream(name, snapshot);
    int64 chunks = 0;
    int64 bytes = 0;
    if (stream.exists) {
        Caps all = {PG_INT64_MAX, PG_INT64_MAX};
        chunks = read_prefix(snapshot, stream, {}, 0, &all, [&](const ChunkScan &chunk) { bytes += chunk.size(); });
    }
    snapshot.end();
    Datum values[2] = {Int64GetDatum(chunks), Int64GetDatum(bytes)};
    bool nulls[2] = {};
    return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

// stream_edge(stream text) returns (first_id bigint, head_id bigint, closed boolean, first_at timestamptz, last_at
// timestamptz)
RILL_FUNCTION(pg_rill_edge) {
    using namespace rill;
    const StreamName name = stream_argument(fcinfo, 0);
    TupleDesc desc;
    if (get_call_result_type(fcinfo, nullptr, &desc) != TYPEFUNC_COMPOSITE)
        elog(ERROR, "return type must be a row type");
    int64 first = 0;
    int64 head = 0;
    bool closed = false;
    TimestampTz first_at = 0;
    TimestampTz last_at = 0;
    with_stream(name, [&](ReadSnapshot &snapshot, const VisibleStream &stream, const StreamHint &hint) {
        ChunkScan &scan = snapshot.scan();
        scan.start(stream.row.id, stream.row.trimmed_through);
        if (scan.next()) {
            first = scan.id();
            first_at = scan.appended_at();
            head = find_head(snapshot, stream, hint);
        }
        if (head > 0 && scan.exactly(stream.row.id, head)) {
            closed = scan.eof();
            last_at = scan.appended_at();
        }
    });
    Datum values[5] = {Int64GetDatum(first), Int64GetDatum(head), BoolGetDatum(closed), TimestampTzGetDatum(first_at),
                       TimestampTzGetDatum(last_at)};
    bool nulls[5] = {first == 0, false, false, first == 0, head == 0};
    return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

// stream_waiters(stream text) returns int: sessions in the server that wait for this stream; null without preload
RILL_FUNCTION(pg_rill_waiters) {
    using namespace rill;
    const StreamName name = stream_argument(fcinfo, 0);
    require_privilege(ACL_SELECT);
    if (shared == nullptr)
        PG_RETURN_NULL();
    ReadSnapshot snapshot;
    snapshot.begin();
    const bool visible = find_visible_stream(name, snapshot).exists;
    snapshot.end();
    return Int32GetDatum(visible ? count_waiters(name.key) : 0);
}
