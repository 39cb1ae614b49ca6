// See stream_state.hpp.
#include "retention/stream_state.hpp"

#include "tables/catalog.hpp"

namespace rill {

bool lock_stream_state(int64 stream_id, bool wait, StreamState *state) {
    const OwnerScope owner(tables().state);
    // A stream for which nothing has been recorded yet has no row.
    if (wait)
        (void) run_without_triggers(
            psprintf("INSERT INTO %s (stream_id) VALUES ($1) ON CONFLICT DO NOTHING", qualified_table("stream_state")),
            {int8_value(stream_id)});
    const char *source =
        psprintf("SELECT trimmed_through, counted_through, counted_chunks, counted_bytes FROM ONLY %s"
                 " WHERE stream_id OPERATOR(pg_catalog.=) $1 AND deleted_at IS NULL FOR NO KEY UPDATE%s",
                 qualified_table("stream_state"), wait ? "" : " SKIP LOCKED");
    const bool locked = run_sql(source, {int8_value(stream_id)}, SPI_OK_SELECT, [state](const SqlRow &row) {
                            *state = {row.int8(1), row.int8(2), row.int8(3), row.int8(4)};
                        }) > 0;
    owner.leave();
    return locked;
}

void store_stream_state(int64 stream_id, const StreamState &state) {
    const OwnerScope owner(tables().state);
    const char *source = psprintf(
        "UPDATE ONLY %s SET trimmed_through = $2, counted_through = $3, counted_chunks = $4, counted_bytes = $5"
        " WHERE stream_id OPERATOR(pg_catalog.=) $1",
        qualified_table("stream_state"));
    (void) run_without_triggers(source, {int8_value(stream_id), int8_value(state.trimmed_through),
                                         int8_value(state.counted_through), int8_value(state.counted_chunks),
                                         int8_value(state.counted_bytes)});
    owner.leave();
}

}  // namespace rill
