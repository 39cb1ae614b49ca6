// See stream_state.hpp.
#include "retention/stream_state.hpp"

namespace rill {

bool lock_stream_state(int64 stream_id, bool wait, StreamState *state) {
    const char *source =
        psprintf("SELECT trimmed_through, counted_through, counted_chunks, counted_bytes FROM %s"
                 " WHERE stream_id OPERATOR(pg_catalog.=) $1 AND deleted_at IS NULL FOR NO KEY UPDATE%s",
                 qualified_table("stream"), wait ? "" : " SKIP LOCKED");
    return run_sql(source, {int8_value(stream_id)}, SPI_OK_SELECT, [state](const SqlRow &row) {
               *state = {row.int8(1), row.int8(2), row.int8(3), row.int8(4)};
           }) > 0;
}

void store_stream_state(int64 stream_id, const StreamState &state) {
    const char *source =
        psprintf("UPDATE %s SET trimmed_through = $2, counted_through = $3, counted_chunks = $4, counted_bytes = $5"
                 " WHERE stream_id OPERATOR(pg_catalog.=) $1",
                 qualified_table("stream"));
    (void) run_sql(source,
                   {int8_value(stream_id), int8_value(state.trimmed_through), int8_value(state.counted_through),
                    int8_value(state.counted_chunks), int8_value(state.counted_bytes)},
                   SPI_OK_UPDATE);
}

}  // namespace rill
