// See trim.hpp.
// Must survive: another session trimming or deleting the same stream (the one that locks the row second finds what is
// left), rollback at any point, and REPEATABLE READ (trims what its snapshot shows; 40001 if the stream was trimmed
// since).
#include "retention/trim.hpp"

#include "read/head.hpp"
#include "shmem/id_cache.hpp"

namespace rill {

int64 highest_trimmable(const StreamRow &row) {
    const StreamHint hint = {
        row.id, IsolationUsesXactSnapshot() ? 0 : lookup_ids(stream_key(tables().chunk, row.id)).readable_through};
    ReadSnapshot snapshot;
    snapshot.begin();
    const VisibleStream stream = {true, row};
    int64 head = find_head(snapshot, stream, hint);
    if (is_eof(snapshot, stream, head))
        --head;
    snapshot.end();
    return head;
}

int64 delete_chunks(int64 stream_id, int64 after, int64 through, StreamState *state) {
    const char *source = psprintf(
        "WITH gone AS (DELETE FROM ONLY %s WHERE stream_id OPERATOR(pg_catalog.=) $1"
        " AND chunk_id OPERATOR(pg_catalog.>) $2 AND chunk_id OPERATOR(pg_catalog.<=) $3 AND NOT eof"
        " RETURNING chunk_id, pg_catalog.octet_length(data) AS size)"
        " SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE chunk_id OPERATOR(pg_catalog.<=) $4),"
        " (pg_catalog.sum(size) FILTER (WHERE chunk_id OPERATOR(pg_catalog.<=) $4))::pg_catalog.int8 FROM gone",
        qualified_table("stream_chunk"));
    int64 removed[3];  // chunks; of these the counted ones, and their bytes
    const OwnerScope owner(tables().chunk);
    delete_returning(
        source, {int8_value(stream_id), int8_value(after), int8_value(through), int8_value(state->counted_through)},
        removed, 3);
    owner.leave();
    state->counted_chunks -= removed[1];
    state->counted_bytes -= removed[2];
    return removed[0];
}

int64 trim_stream(int64 stream_id, int64 through) {
    StreamState state;
    int64 removed = 0;
    if (lock_stream_state(stream_id, true, &state) && through > state.trimmed_through) {
        removed = delete_chunks(stream_id, state.trimmed_through, through, &state);
        state.trimmed_through = through;
        state.counted_through = Max(state.counted_through, through);
        store_stream_state(stream_id, state);
    }
    return removed;
}

}  // namespace rill
