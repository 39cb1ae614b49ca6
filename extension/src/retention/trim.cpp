// See trim.hpp.
// Must survive: another session trimming or deleting the same stream (the one that locks the row second finds what is
// left), rollback at any point, and REPEATABLE READ (trims what its snapshot shows; 40001 if the stream was trimmed
// since).
#include "retention/trim.hpp"

#include "read/head.hpp"
#include "retention/remove_chunks.hpp"
#include "retention/stream_state.hpp"
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

int64 trim_stream(int64 stream_id, int64 through) {
    StreamState state;
    if (!lock_stream_state(stream_id, true, &state) || through <= state.trimmed_through)
        return 0;
    const Removed removed =
        remove_chunks({stream_id, state.trimmed_through, through, false, true, state.counted_through});
    state = {through, Max(state.counted_through, through), state.counted_chunks - removed.counted,
             state.counted_bytes - removed.counted_bytes};
    store_stream_state(stream_id, state);
    return removed.chunks;
}

}  // namespace rill
