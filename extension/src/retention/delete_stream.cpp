// See delete_stream.hpp.
// Must survive: another session trimming or deleting the same stream, appends that were running when the stream was
// deleted (their chunks are purged when they have ended), and rollback at any point.
#include "retention/delete_stream.hpp"

#include "read/read_snapshot.hpp"
#include "retention/stream_state.hpp"
#include "shmem/id_cache.hpp"
#include "tables/append_lock.hpp"
#include "tables/catalog.hpp"
#include "tables/chunk_tail.hpp"
#include "wake/transaction_end.hpp"

namespace rill {

namespace {

constexpr int64 kPurgedAtOnce = 10000;  // chunks that stream_delete removes itself when there is a worker for the rest

// Deletes up to `limit` chunks that are visible now, including the EOF; undecided ones stay. Sets *all when the scan
// has reached the end of the stream and every chunk was decided.
int64 delete_visible(int64 stream_id, int64 limit, bool *all) {
    ReadSnapshot snapshot;
    snapshot.begin();
    snapshot.scan().start(stream_id, 0);
    int64 through = 0;
    int64 count = 0;
    while (count < limit && snapshot.scan().next()) {
        through = snapshot.scan().id();
        ++count;
    }
    *all = count < limit && !snapshot.scan().stopped();
    snapshot.end();
    if (count == 0)
        return 0;
    const char *source =
        psprintf("WITH gone AS (DELETE FROM ONLY %s WHERE stream_id OPERATOR(pg_catalog.=) $1"
                 " AND chunk_id OPERATOR(pg_catalog.<=) $2 RETURNING 1) SELECT pg_catalog.count(*) FROM gone",
                 qualified_table("stream_chunk"));
    int64 removed;
    const OwnerScope owner(tables().chunk);
    delete_returning(source, {int8_value(stream_id), int8_value(through)}, &removed, 1);
    owner.leave();
    return removed;
}

void delete_producers(int64 stream_id) {
    const OwnerScope owner(tables().producer);
    (void) run_without_triggers(
        psprintf("DELETE FROM ONLY %s WHERE stream_id OPERATOR(pg_catalog.=) $1", qualified_table("stream_producer")),
        {int8_value(stream_id)});
    owner.leave();
}

void write_tombstone(const StreamName &name, int64 stream_id) {
    const OwnerScope owner(tables().state);
    (void) run_without_triggers(
        psprintf("UPDATE ONLY %s SET deleted_at = pg_catalog.clock_timestamp(), deleted_name = $2"
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

// The highest id ever given to the stream, now that no append can be given another one.
int64 seal_tail(int64 stream_id, int64 trimmed_through) {
    const Relation chunks = table_open(tables().chunk, RowExclusiveLock);  // see stream_key()
    const core::StreamKey key = stream_key(RelationGetRelid(chunks), stream_id);
    const AppendLock lock(stream_id);
    lock.acquire();
    mark_tail(key);
    const Tail tail = read_tail(chunks, stream_id);
    const CachedIds cached = lookup_ids(key);
    lock.release();
    table_close(chunks, NoLock);
    return Max(Max(tail.any ? tail.id : 0, trimmed_through), cached.last_known ? cached.last_id : 0);
}

}  // namespace

bool delete_stream(const StreamName &name, int64 stream_id, bool wait) {
    StreamState state;
    if (!lock_stream_state(stream_id, wait, &state))
        return false;
    write_tombstone(name, stream_id);
    store_stream_state(stream_id, {seal_tail(stream_id, state.trimmed_through), 0, 0, 0});
    delete_row(stream_id);
    delete_producers(stream_id);
    bool all;
    (void) delete_visible(stream_id, shared == nullptr ? PG_INT64_MAX : kPurgedAtOnce, &all);
    // Waiting readers must find out that the stream is gone; the worker does the rest.
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

int64 purge_stream(int64 stream_id, bool *more) {
    bool all;
    const int64 removed = delete_visible(stream_id, kPurgeBatch, &all);
    if (all) {
        delete_producers(stream_id);
        const OwnerScope owner(tables().state);
        (void) run_without_triggers(
            psprintf("UPDATE ONLY %s SET purged = true WHERE stream_id OPERATOR(pg_catalog.=) $1",
                     qualified_table("stream_state")),
            {int8_value(stream_id)});
        owner.leave();
    }
    *more = !all && removed > 0;
    return removed;
}

int64 forget_tombstones(int seconds) {
    const char *source =
        psprintf("DELETE FROM ONLY %s WHERE stream_id OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT stream_id FROM ONLY %s "
                 "WHERE purged"
                 " AND deleted_at OPERATOR(pg_catalog.<) (pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-)"
                 " pg_catalog.make_interval(secs => $1)) LIMIT %d FOR UPDATE SKIP LOCKED))",
                 qualified_table("stream_state"), qualified_table("stream_state"), kPurgeBatch);
    const OwnerScope owner(tables().state);
    const int64 forgotten = static_cast<int64>(run_without_triggers(source, {{FLOAT8OID, Float8GetDatum(seconds)}}));
    owner.leave();
    return forgotten;
}

}  // namespace rill
