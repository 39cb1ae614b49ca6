// See stream_state.hpp.
#include "retention/stream_state.hpp"

#include "tables/catalog.hpp"
#include "tables/stream_rows.hpp"

namespace rill {

namespace {

bool try_lock_stream_state(int64 stream_id, StreamState *state) {
    if (!try_lock_row(tables().state, tables().state_pkey, stream_id, LockTupleNoKeyExclusive))
        return false;
    const Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
    RetentionRow row;
    const bool found = read_retention_row(stream_id, snapshot, &row) && !row.deleted;
    UnregisterSnapshot(snapshot);
    if (found)
        *state = {row.trimmed_through, row.counted_through, row.counted_chunks, row.counted_bytes};
    return found;
}

void update_state(const char *set_more, int64 stream_id, const StreamState &state, const SqlValue &next_due,
                  KeptPlan *kept) {
    const SqlValue values[] = {int8_value(stream_id),
                               int8_value(state.trimmed_through),
                               int8_value(state.counted_through),
                               int8_value(state.counted_chunks),
                               int8_value(state.counted_bytes),
                               next_due};
    const OwnerScope owner(tables().state);
    const char *source = psprintf(
        "UPDATE ONLY %s SET trimmed_through = $2, counted_through = $3, counted_chunks = $4, counted_bytes = $5%s"
        " WHERE stream_id OPERATOR(pg_catalog.=) $1",
        qualified_table("stream_state"), set_more);
    (void) run_without_triggers(source, values, *set_more != '\0' ? 6 : 5, kept);
    owner.leave();
}

}  // namespace

bool lock_stream_state(int64 stream_id, bool wait, StreamState *state) {
    if (!wait)
        return try_lock_stream_state(stream_id, state);
    const OwnerScope owner(tables().state);
    // A stream for which nothing has been recorded yet has no row.
    (void) run_without_triggers(
        psprintf("INSERT INTO %s (stream_id) VALUES ($1) ON CONFLICT DO NOTHING", qualified_table("stream_state")),
        {int8_value(stream_id)});
    const char *source = psprintf("SELECT trimmed_through, counted_through, counted_chunks, counted_bytes FROM ONLY %s"
                                  " WHERE stream_id OPERATOR(pg_catalog.=) $1 AND deleted_at IS NULL FOR NO KEY UPDATE",
                                  qualified_table("stream_state"));
    const bool locked = run_sql(source, {int8_value(stream_id)}, SPI_OK_SELECT, [state](const SqlRow &row) {
                            *state = {row.int8(1), row.int8(2), row.int8(3), row.int8(4)};
                        }) > 0;
    owner.leave();
    return locked;
}

void store_stream_state(int64 stream_id, const StreamState &state) {
    static KeptPlan kept = {};
    update_state("", stream_id, state, {}, &kept);
}

void store_schedule(int64 stream_id, const StreamState &state, TimestampTz next_due) {
    static KeptPlan kept = {};
    update_state(", next_due = $6", stream_id, state,
                 {TIMESTAMPTZOID, TimestampTzGetDatum(next_due), TIMESTAMP_IS_NOEND(next_due)}, &kept);
}

}  // namespace rill
