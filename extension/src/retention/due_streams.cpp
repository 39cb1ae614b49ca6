// See due_streams.hpp. The statements read only values of rows and compute nothing, so that a strange value stops no
// list: it is the stream's own turn that fails.
#include "retention/due_streams.hpp"

#include "retention/stream_state.hpp"
#include "tables/catalog.hpp"

namespace rill {

namespace {

SqlValue time_value(TimestampTz value) { return {TIMESTAMPTZOID, TimestampTzGetDatum(value)}; }

}  // namespace

int list_due(TimestampTz after_due, int64 after_id, TimestampTz until, DueStream *streams, int room) {
    int n = 0;
    const OwnerScope owner(tables().state);
    (void) run_sql(psprintf("SELECT stream_id, next_due FROM ONLY %s WHERE next_due OPERATOR(pg_catalog.<=) $3"
                            " AND ROW(next_due, stream_id) OPERATOR(pg_catalog.>) ROW($1, $2)"
                            " ORDER BY next_due, stream_id LIMIT %d",
                            qualified_table("stream_state"), room),
                   {time_value(after_due), int8_value(after_id), time_value(until)}, SPI_OK_SELECT,
                   [&](const SqlRow &row) {
                       streams[n++] = {row.int8(1), row.int8(2)};
                   });
    owner.leave();
    return n;
}

int list_for_walk(Walk walk, int64 after, int64 *ids, int room) {
    int n = 0;
    const OwnerScope owner(tables().state);
    (void) run_sql(psprintf("SELECT stream_id FROM ONLY %s WHERE deleted_at IS NULL"
                            " AND (max_age IS NOT NULL OR max_chunks IS NOT NULL OR max_bytes IS NOT NULL"
                            " OR delete_after_close IS NOT NULL OR max_idle IS NOT NULL OR expires_at IS NOT NULL)"
                            "%s AND stream_id OPERATOR(pg_catalog.>) $1 ORDER BY stream_id LIMIT %d",
                            qualified_table("stream_state"),
                            walk == Walk::all
                                ? ""
                                : " AND (next_due IS NULL OR max_chunks IS NOT NULL OR max_bytes IS NOT NULL"
                                  " OR delete_after_close IS NOT NULL OR (max_age IS NOT NULL"
                                  " AND (max_idle IS NOT NULL OR expires_at IS NOT NULL)))",
                            room),
                   {int8_value(after)}, SPI_OK_SELECT, [&](const SqlRow &row) { ids[n++] = row.int8(1); });
    owner.leave();
    return n;
}

TimestampTz next_due_after(TimestampTz after) {
    TimestampTz next = DT_NOEND;
    const OwnerScope owner(tables().state);
    (void) run_sql(psprintf("SELECT next_due FROM ONLY %s WHERE next_due OPERATOR(pg_catalog.>) $1"
                            " ORDER BY next_due LIMIT 1",
                            qualified_table("stream_state")),
                   {time_value(after)}, SPI_OK_SELECT, [&](const SqlRow &row) { next = row.int8(1); });
    owner.leave();
    return next;
}

}  // namespace rill
