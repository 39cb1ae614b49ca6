// See cursor.hpp.
#include "read/cursor.hpp"

#include "base/errors.hpp"
#include "tables/chunk_tail.hpp"
#include "tables/last_id.hpp"

namespace rill {

CursorState check_cursor(const VisibleStream &stream, int64 cursor) {
    if (cursor > 0 && !stream.exists)
        return CursorState::missing;
    if (cursor > 0 && cursor < stream.row.trimmed_through)
        return CursorState::behind;
    return CursorState::good;
}

CursorState check_ahead(Relation chunks, const VisibleStream &stream, int64 cursor) {
    if (!stream.exists || RecoveryInProgress())
        return CursorState::good;  // a standby may simply lag
    const CachedIds ids =
        load_cached_ids(chunks, stream_key(RelationGetRelid(chunks), stream.row.id), stream.row.trimmed_through);
    // Above it the index decides: rows loaded by COPY have passed the id cache by.
    if ((ids.last_known && cursor <= ids.last_id) || cursor <= stream.row.trimmed_through)
        return CursorState::good;
    const Tail tail = read_tail(chunks, stream.row.id);
    return tail.any && cursor <= tail.id ? CursorState::good : CursorState::diverged;
}

Verdict verify_cursor(ReadSnapshot &snapshot, const VisibleStream &stream, int64 cursor, int32 epoch) {
    switch (check_cursor(stream, cursor)) {
    case CursorState::behind:
        return Verdict::behind;
    case CursorState::missing:
        return Verdict::missing;
    default:
        break;
    }
    if (cursor == 0)
        return Verdict::same;
    if (cursor <= stream.row.begins_after)
        return Verdict::diverged;  // a chunk of the deleted stream that had this name
    if (cursor == stream.row.trimmed_through)
        return Verdict::same;
    if (snapshot.scan().exactly(stream.row.id, cursor))
        return snapshot.scan().epoch() == epoch ? Verdict::same : Verdict::diverged;
    // A transaction's own snapshot can be older than the chunk.
    return RecoveryInProgress() || IsolationUsesXactSnapshot() ? Verdict::not_yet : Verdict::diverged;
}

const char *cursor_sqlstate(CursorState state) {
    return unpack_sql_state(state == CursorState::behind     ? kCursorBehind
                            : state == CursorState::diverged ? kCursorDiverged
                                                             : kNoSuchStream);
}

const char *cursor_message(CursorState state, const StreamName &name, int64 cursor) {
    switch (state) {
    case CursorState::behind:
        return psprintf("cursor " INT64_FORMAT " of stream \"%.*s\" is before the first retained chunk", cursor,
                        name.size, name.data);
    case CursorState::diverged:
        return psprintf("cursor " INT64_FORMAT " is not part of the history of stream \"%.*s\"", cursor, name.size,
                        name.data);
    default:
        return psprintf("there is no stream \"%.*s\" for cursor " INT64_FORMAT, name.size, name.data, cursor);
    }
}

void refuse_cursor(CursorState state, const StreamName &name, int64 cursor) {
    const char *message = cursor_message(state, name, cursor);
    switch (state) {
    case CursorState::behind:
        ereport(ERROR, (errcode(kCursorBehind), errmsg_internal("%s", message),
                        errdetail("Chunks after it have been trimmed."),
                        errhint("Start again at cursor 0, which is before the first retained chunk.")));
        break;
    case CursorState::diverged:
        ereport(
            ERROR,
            (errcode(kCursorDiverged), errmsg_internal("%s", message),
             errdetail("The server has been restored, a standby was promoted without the last chunks, the stream was "
                       "deleted and created again, or the cursor belongs to another stream."),
             errhint("Find out which chunks you have read that are not here, then start again at a cursor of this "
                     "server.")));
        break;
    default:
        ereport(ERROR,
                (errcode(kNoSuchStream), errmsg_internal("%s", message),
                 errdetail(
                     "The stream does not exist or is not visible to you; the cursor came from a stream that is gone."),
                 errhint("Start again at cursor 0.")));
    }
    pg_unreachable();
}

}  // namespace rill
