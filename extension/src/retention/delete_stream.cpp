// See delete_stream.hpp.
// Must survive: another session trimming or deleting the same stream, appends that were running when the stream was
// deleted (their chunks are purged when they have ended), appends to an idle stream while it is deleted (then it
// stays), and rollback at any point.
#include "retention/delete_stream.hpp"

#include "read/read_snapshot.hpp"
#include "retention/remove_chunks.hpp"
#include "retention/stream_state.hpp"
#include "shmem/id_cache.hpp"
#include "tables/append_lock.hpp"
#include "tables/catalog.hpp"
#include "tables/chunk_tail.hpp"
#include "tables/stream_rows.hpp"
#include "wake/transaction_end.hpp"

namespace rill {

namespace {

constexpr int64 kPurgedAtOnce = 10000;  // chunks that stream_delete removes itself when there is a worker for the rest

struct Purged {
    int64 chunks;
    int64 through;  // everything up to here is gone
    bool all;       // the end of the stream was reached, and every chunk was decided
    bool blocked;   // a row is locked by another session
};

// Deletes up to `limit` chunks behind `after` that are visible now, including the EOF; undecided ones stay.
Purged delete_visible(int64 stream_id, int64 after, int64 limit, bool wait) {
    ReadSnapshot snapshot;
    snapshot.begin();
    snapshot.scan().start(stream_id, after);
    int64 through = after;
    int64 count = 0;
    while (count < limit && snapshot.scan().next()) {
        through = snapshot.scan().id();
        ++count;
    }
    const bool all = count < limit && !snapshot.scan().stopped();
    snapshot.end();
    if (count == 0)
        return {0, after, all, false};
    const Removed removed = remove_chunks({stream_id, after, through, true, wait, 0});
    return {removed.chunks, removed.through, all && !removed.blocked && !removed.cut, removed.blocked};
}

// False without `wait` if another session has locked one of them.
bool delete_producers(int64 stream_id, bool wait) {
    const char *table = qualified_table("stream_producer");
    const char *every = psprintf("SELECT FROM ONLY %s WHERE stream_id OPERATOR(pg_catalog.=) $1", table);
    const OwnerScope owner(tables().producer);
    const bool free = wait || run_sql(psprintf("%s FOR UPDATE SKIP LOCKED", every), {int8_value(stream_id)},
                                      SPI_OK_SELECT) == run_sql(every, {int8_value(stream_id)}, SPI_OK_SELECT);
    if (free)
        (void) run_without_triggers(psprintf("DELETE FROM ONLY %s WHERE stream_id OPERATOR(pg_catalog.=) $1", table),
                                    {int8_value(stream_id)});
    owner.leave();
    return free;
}

void write_tombstone(const StreamName &name, int64 stream_id) {
    const OwnerScope owner(tables().state);
    (void) run_without_triggers(
        psprintf("UPDATE ONLY %s SET deleted_at = pg_catalog.clock_timestamp(), deleted_name = $2, next_due = NULL"
                 " WHERE stream_id OPERATOR(pg_catalog.=) $1",
                 qualified_table("stream_state")),
        {int8_value(stream_id), {TEXTOID, PointerGetDatum(cstring_to_text_with_len(name.data, name.size))}});
    owner.leave();
}

// When this commits, sessions drop the name from their caches.
void delete_row(int64 stream_id) {
    const OwnerScope owner(tables().stream);
    (void) run_without_triggers(
        psprintf("DELETE FROM ONLY %s WHERE stream_id OPERATOR(pg_catalog.=) $1", qualified_table("stream")),
        {int8_value(stream_id)});
    owner.leave();
    CacheInvalidateRelcacheByRelid(tables().stream);
}

struct SealedTail {
    int64 stored;  // the highest row's id, whatever became of its transaction
    int64 given;   // the highest id ever given
};

// The end of the stream, now that no append can be given another id.
SealedTail seal_tail(int64 stream_id, int64 trimmed_through) {
    const Relation chunks = table_open(tables().chunk, RowExclusiveLock);  // see stream_key()
    const core::StreamKey key = stream_key(RelationGetRelid(chunks), stream_id);
    const AppendLock lock(stream_id);
    lock.acquire();
    mark_tail(key);
    const Tail tail = read_tail(chunks, stream_id);
    const CachedIds cached = lookup_ids(key);
    lock.release();
    table_close(chunks, NoLock);
    const int64 stored = tail.any ? tail.id : 0;
    return {stored, Max(Max(stored, trimmed_through), cached.last_known ? cached.last_id : 0)};
}

// Whether the stream can be deleted, and then its end in *tail. The tombstone must be there before the tail is read, so
// it is taken back when an append to an idle stream came first: it was acknowledged, or will be.
bool replace_by_tombstone(const StreamName &name, int64 stream_id, int64 trimmed_through, int64 idle_at,
                          SealedTail *tail) {
    const MemoryContext context = CurrentMemoryContext;
    const ResourceOwner owner = CurrentResourceOwner;
    const bool may_stay = idle_at < PG_INT64_MAX;
    if (may_stay) {
        BeginInternalSubTransaction(nullptr);
        MemoryContextSwitchTo(context);
    }
    write_tombstone(name, stream_id);
    *tail = seal_tail(stream_id, trimmed_through);
    const bool stays = tail->stored > idle_at;
    if (may_stay) {
        if (stays)
            RollbackAndReleaseCurrentSubTransaction();
        else
            ReleaseCurrentSubTransaction();
        MemoryContextSwitchTo(context);
        CurrentResourceOwner = owner;
    }
    return !stays;
}

}  // namespace

bool delete_stream(const StreamName &name, int64 stream_id, bool wait, int64 idle_at) {
    StreamState state;
    // Without `wait` the rows are locked first, so that nothing below waits for another session's lock on one.
    if (!lock_stream_state(stream_id, wait, &state) ||
        (!wait && !try_lock_row(tables().stream, tables().stream_pkey, stream_id, LockTupleExclusive)))
        return false;
    SealedTail tail;
    if (!replace_by_tombstone(name, stream_id, state.trimmed_through, idle_at, &tail))
        return false;
    delete_row(stream_id);
    // Waiting readers must find out that the stream is gone; the worker does the rest.
    int64 through = 0;
    if (wait) {
        (void) delete_producers(stream_id, true);
        through =
            delete_visible(stream_id, state.trimmed_through, shared == nullptr ? PG_INT64_MAX : kPurgedAtOnce, true)
                .through;
    }
    store_stream_state(stream_id, {tail.given, through, 0, 0});
    uint64 mark = 0;
    note_changed_stream(name.key, stream_id, &mark);
    request_retention();  // registers the callbacks, too
    return true;
}

int list_unpurged(int64 after, int64 *ids, int room) {
    int n = 0;
    const OwnerScope owner(tables().state);
    (void) run_sql(psprintf("SELECT stream_id FROM ONLY %s WHERE deleted_at IS NOT NULL AND NOT purged"
                            " AND stream_id OPERATOR(pg_catalog.>) $1 ORDER BY stream_id LIMIT %d",
                            qualified_table("stream_state"), room),
                   {int8_value(after)}, SPI_OK_SELECT, [&](const SqlRow &row) { ids[n++] = row.int8(1); });
    owner.leave();
    return n;
}

// counted_through of a tombstone tells how far it has been purged: the next batch begins there, not among the dead rows
// of those before.
Enforced purge_stream(int64 stream_id) {
    Enforced enforced = {0, 0, false, false, true};
    const Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
    RetentionRow row;
    const bool found = read_retention_row(stream_id, snapshot, &row) && row.deleted;
    enforced.blocked =
        found && !try_lock_row(tables().state, tables().state_pkey, stream_id, LockTupleNoKeyExclusive, snapshot);
    UnregisterSnapshot(snapshot);
    if (!found || enforced.blocked)
        return enforced;
    const Purged purged = delete_visible(stream_id, row.counted_through, kPurgeBatch, false);
    const bool done = purged.all && delete_producers(stream_id, false);
    if (purged.chunks > 0 || done) {
        const OwnerScope owner(tables().state);
        (void) run_without_triggers(psprintf("UPDATE ONLY %s SET counted_through = $2, purged = $3"
                                             " WHERE stream_id OPERATOR(pg_catalog.=) $1",
                                             qualified_table("stream_state")),
                                    {int8_value(stream_id), int8_value(purged.through), {BOOLOID, BoolGetDatum(done)}});
        owner.leave();
    }
    enforced.chunks = purged.chunks;
    enforced.blocked = !done && (purged.all || purged.blocked || purged.chunks == 0);
    enforced.more = !done && !enforced.blocked;
    return enforced;
}

int64 forget_tombstones(int seconds) {
    const char *source =
        psprintf("DELETE FROM ONLY %s WHERE stream_id OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT stream_id FROM ONLY %s"
                 " WHERE purged AND deleted_at OPERATOR(pg_catalog.<) $1 ORDER BY deleted_at LIMIT %d"
                 " FOR UPDATE SKIP LOCKED))",
                 qualified_table("stream_state"), qualified_table("stream_state"), kPurgeBatch);
    const TimestampTz before = GetCurrentTimestamp() - seconds * USECS_PER_SEC;
    const OwnerScope owner(tables().state);
    const int64 forgotten =
        static_cast<int64>(run_without_triggers(source, {{TIMESTAMPTZOID, TimestampTzGetDatum(before)}}));
    owner.leave();
    return forgotten;
}

TimestampTz next_to_forget(int seconds) {
    TimestampTz oldest = DT_NOEND;
    const OwnerScope owner(tables().state);
    (void) run_sql(psprintf("SELECT deleted_at FROM ONLY %s WHERE purged ORDER BY deleted_at LIMIT 1",
                            qualified_table("stream_state")),
                   {}, SPI_OK_SELECT, [&](const SqlRow &row) { oldest = row.int8(1); });
    owner.leave();
    return TIMESTAMP_NOT_FINITE(oldest) ? oldest : oldest + seconds * USECS_PER_SEC;
}

}  // namespace rill
