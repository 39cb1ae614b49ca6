// What the views stream_info and stream_stat show.
// Counts of a stream are taken from its rows when asked for: they are exact and cost a scan of
// that stream; a column that is not selected costs nothing.
#include "base/boundary.hpp"
#include "shmem/database_slot.hpp"
#include "base/pg_compat.hpp"
#include "read/read.hpp"
#include "tables/privileges.hpp"
#include "shmem/id_cache.hpp"
#include "shmem/wait_list.hpp"

// stream_measure(stream text) returns (chunks bigint, bytes bigint)
RILL_FUNCTION(pg_rill_measure) {
    using namespace rill;
    const StreamName name = stream_argument(fcinfo, 0);
    TupleDesc desc;
    if (get_call_result_type(fcinfo, nullptr, &desc) != TYPEFUNC_COMPOSITE)
        elog(ERROR, "return type must be a row type");
    ReadSnapshot look;
    look.begin();
    const VisibleStream stream = open_for_read(name, look);
    int64 chunks = 0;
    int64 bytes = 0;
    if (stream.exists) {
        Caps all = {PG_INT64_MAX, PG_INT64_MAX};
        bool drained;
        chunks = read_prefix(look, stream, 0, &all, &drained, [&](const ChunkScan &chunk) { bytes += chunk.size(); });
    }
    look.end();
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
    const Known known = known_readable(name);
    ReadSnapshot look;
    look.begin();
    const VisibleStream stream = open_for_read(name, look);
    int64 first = 0;
    int64 head = 0;
    bool closed = false;
    TimestampTz first_at = 0;
    TimestampTz last_at = 0;
    if (stream.exists) {
        look.scan().start(stream.row.id, stream.row.trimmed_through);
        if (look.scan().next()) {
            first = look.scan().id();
            first_at = look.scan().appended_at();
            head = find_head(look, stream, known);
        }
        if (head > 0 && look.scan().exactly(stream.row.id, head)) {
            closed = look.scan().eof();
            last_at = look.scan().appended_at();
        }
    }
    look.end();
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
    ReadSnapshot look;
    look.begin();
    const bool visible = open_for_read(name, look).exists;
    look.end();
    return Int32GetDatum(visible ? count_waiters(name.key) : 0);
}

// stream_counters() returns one row for the current database
RILL_FUNCTION(pg_rill_counters) {
    using namespace rill;
    require_shared("keep statistics");
    TupleDesc desc;
    if (get_call_result_type(fcinfo, nullptr, &desc) != TYPEFUNC_COMPOSITE)
        elog(ERROR, "return type must be a row type");
    DatabaseSlot *slot = attach_database_slot();
    Datum values[16] = {};
    bool nulls[16] = {};
    values[1] = Int32GetDatum(count_database_waiters(MyDatabaseId));
    values[11] = Int64GetDatum(cached_stream_count(MyDatabaseId));
    if (slot == nullptr) {
        for (const int i : {0, 2, 3, 4, 5, 6, 7, 8, 10, 12, 13, 14, 15})
            nulls[i] = true;
        values[9] = CStringGetTextDatum("no slot");
    } else {
        SpinLockAcquire(&slot->mutex);
        const NotifierState state = slot->notifier_state;
        const int pid = slot->notifier_pid;
        const TimestampTz started = slot->notifier_started_at;
        const TimestampTz since = slot->since;
        SpinLockRelease(&slot->mutex);
        const auto counter = [](pg_atomic_uint64 *value) {
            return Int64GetDatum(static_cast<int64>(pg_atomic_read_u64(value)));
        };
        values[0] = Int32GetDatum(static_cast<int32>(pg_atomic_read_u32(&slot->listeners)));
        values[2] = counter(&slot->wakeups);
        values[3] = counter(&slot->queued);
        values[4] = counter(&slot->coalesced);
        values[5] = counter(&slot->notifies);
        values[6] = counter(&slot->overflows);
        values[7] = counter(&slot->rescues);
        values[8] = Int32GetDatum(pid);
        values[9] = CStringGetTextDatum(state == NotifierState::running    ? "running"
                                        : state == NotifierState::starting ? "starting"
                                                                           : "absent");
        values[10] = TimestampTzGetDatum(started);
        values[12] = counter(&slot->trimmed);
        values[13] = counter(&slot->deleted);
        values[14] = counter(&slot->retention_at);
        values[15] = TimestampTzGetDatum(since);
        nulls[8] = nulls[10] = state != NotifierState::running;
        nulls[14] = DatumGetInt64(values[14]) == 0;
    }
    return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}
