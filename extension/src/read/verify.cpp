// stream_verify: is the chunk with this id here the one that was read with this epoch (promise I8)?
#include "base/boundary.hpp"
#include "read/cursor.hpp"

// stream_verify(stream text, chunk_id bigint, epoch int) returns boolean
RILL_FUNCTION(pg_rill_verify) {
    using namespace rill;
    const StreamName name = stream_argument(fcinfo, 0);
    const int64 cursor = cursor_argument(fcinfo, 1, "chunk_id");
    if (PG_ARGISNULL(2))
        refuse_null("epoch");
    ReadSnapshot snapshot;
    snapshot.begin();
    const VisibleStream stream = find_visible_stream(name, snapshot);
    const Verdict verdict = verify_cursor(snapshot, stream, cursor, PG_GETARG_INT32(2));
    snapshot.end();
    switch (verdict) {
    case Verdict::same:
        PG_RETURN_BOOL(true);
    case Verdict::not_yet:
        PG_RETURN_NULL();
    case Verdict::behind:
        refuse_cursor(CursorState::behind, name, cursor);
    case Verdict::missing:
        refuse_cursor(CursorState::missing, name, cursor);
    default:
        refuse_cursor(CursorState::diverged, name, cursor);
    }
}
