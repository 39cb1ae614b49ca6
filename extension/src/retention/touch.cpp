// stream_touch: use of a stream that counts for max_idle.
// It takes the right to read, so it must not lock the stream's row until its transaction ends: a reader could hold up
// the stream's writers, and its retention, by staying in a transaction. The stream's id goes into a set in shared
// memory, and the retention worker writes the row, before it judges any stream. Must survive: no worker and a full set
// (the row is written here), rollback (the use counts all the same), a row that others have locked, and a crash before
// the worker came (the use of the last interval is forgotten).
#include "retention/touch.hpp"

#include "base/arguments.hpp"
#include "base/boundary.hpp"
#include "retention/stream_state.hpp"
#include "shmem/retention_queue.hpp"
#include "tables/catalog.hpp"
#include "tables/privileges.hpp"
#include "tables/stream_rows.hpp"
#include "wake/transaction_end.hpp"

namespace rill {

namespace {

// Accurate to a tenth of max_idle, so that readers do not cause a write at every call.
bool is_recent(const RetentionRow &row) {
    const Datum tenth = DirectFunctionCall2(interval_div, IntervalPGetDatum(row.max_idle), Float8GetDatum(10));
    const Datum since = DirectFunctionCall2(timestamptz_mi_interval, TimestampTzGetDatum(GetCurrentTimestamp()), tenth);
    return row.touched_at >= DatumGetTimestampTz(since);
}

bool must_record(int64 stream_id) {
    const Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
    RetentionRow row;
    const bool found = read_retention_row(stream_id, snapshot, &row);
    UnregisterSnapshot(snapshot);
    return found && !row.deleted && row.max_idle != nullptr && !is_recent(row);
}

void write_touch(int64 stream_id) {
    const OwnerScope owner(tables().state);
    (void) run_without_triggers(psprintf("UPDATE ONLY %s SET touched_at = pg_catalog.clock_timestamp()"
                                         " WHERE stream_id OPERATOR(pg_catalog.=) $1 AND deleted_at IS NULL",
                                         qualified_table("stream_state")),
                                {int8_value(stream_id)});
    owner.leave();
}

}  // namespace

Enforced record_touch(int64 stream_id) {
    Enforced enforced = {0, 0, false, false, false};
    if (!must_record(stream_id))
        return enforced;
    if (try_lock_row(tables().state, tables().state_pkey, stream_id, LockTupleNoKeyExclusive))
        write_touch(stream_id);
    else
        enforced.blocked = true;
    return enforced;
}

}  // namespace rill

// stream_touch(stream text) returns boolean
RILL_FUNCTION(pg_rill_touch) {
    using namespace rill;
    require_writable("stream_touch()");
    const StreamName name = stream_argument(fcinfo, 0);
    require_privilege(ACL_SELECT);
    StreamRow row;
    if (!find_current_stream(name.data, name.size, &row) || !may_read(row.id))
        PG_RETURN_BOOL(false);
    if (must_record(row.id) && !queue_touch(attach_database_slot(Retry::rarely), row.id))
        write_touch(row.id);
    PG_RETURN_BOOL(true);
}
