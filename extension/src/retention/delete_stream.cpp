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
#include "tables/tombstone_removal.hpp"
#include "wake/transaction_end.hpp"

namespace rill {

namespace {

constexpr int64 kPurgedAtOnce = 10000;  // chunks that stream_delete itself removes when a worker does the rest

// Deletes up to `limit` chunks that are visible now, the EOF too; undecided ones stay. Sets *all when the scan has met
// the end of the stream and every chunk of it was decided.
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
        psprintf("DELETE FROM %s WHERE stream_id OPERATOR(pg_catalog.=) $1 AND chunk_id OPERATOR(pg_catalog.<=) $2",
                 qualified_table("stream_chunk"));
    return static_cast<int64>(run_sql(source, {int8_value(stream_id), int8_value(through)}, SPI_OK_DELETE));
}

void delete_producers(int64 stream_id) {
    (void) run_sql(
        psprintf("DELETE FROM %s WHERE stream_id OPERATOR(pg_catalog.=) $1", qualified_table("stream_producer")),
        {int8_value(stream_id)}, SPI_OK_DELETE);
}

// The highest id ever given to the stream, now that no append can be given another one.
int64 seal_tail(int64 stream_id, int64 trimmed_through) {
    const Relation chunks = table_open(tables().chunk, AccessShareLock);
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
    const OwnerScope owner(tables().stream);
    const bool there = lock_stream_state(stream_id, wait, &state);
    if (there) {
        (void) run_sql(
            psprintf(
                "UPDATE %s SET deleted_at = pg_catalog.clock_timestamp() WHERE stream_id OPERATOR(pg_catalog.=) $1",
                qualified_table("stream")),
            {int8_value(stream_id)}, SPI_OK_UPDATE);
        store_stream_state(stream_id, {seal_tail(stream_id, state.trimmed_through), 0, 0, 0});
        delete_producers(stream_id);
        bool all;
        (void) delete_visible(stream_id, shared == nullptr ? PG_INT64_MAX : kPurgedAtOnce, &all);
        // Waiting readers have to find out that the stream is gone; the rest is the worker's.
        uint64 mark = 0;
        note_changed_stream(name.key, stream_id, &mark);
        request_retention();  // registers the callbacks, too
    }
    owner.leave();
    return there;
}

int list_unpurged(int64 after, int64 *ids, int room) {
    int n = 0;
    (void) run_sql(psprintf("SELECT stream_id FROM %s WHERE deleted_at IS NOT NULL AND NOT purged"
                            " AND stream_id OPERATOR(pg_catalog.>) $1 ORDER BY stream_id LIMIT %d",
                            qualified_table("stream"), room),
                   {int8_value(after)}, SPI_OK_SELECT, [&](const SqlRow &row) { ids[n++] = row.int8(1); });
    return n;
}

int64 purge_stream(int64 stream_id, bool *more) {
    bool all;
    const OwnerScope owner(tables().stream);
    const int64 removed = delete_visible(stream_id, kPurgeBatch, &all);
    if (all) {
        delete_producers(stream_id);
        (void) run_sql(psprintf("UPDATE %s SET purged = true WHERE stream_id OPERATOR(pg_catalog.=) $1",
                                qualified_table("stream")),
                       {int8_value(stream_id)}, SPI_OK_UPDATE);
    }
    owner.leave();
    *more = !all && removed > 0;
    return removed;
}

int64 forget_tombstones(int seconds) {
    const char *source = psprintf(
        "DELETE FROM %s WHERE stream_id OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT stream_id FROM %s WHERE purged"
        " AND deleted_at OPERATOR(pg_catalog.<) (pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-)"
        " pg_catalog.make_interval(secs => $1)) LIMIT %d))",
        qualified_table("stream"), qualified_table("stream"), kPurgeBatch);
    const OwnerScope owner(tables().stream);
    const TombstoneRemoval removal;
    const int64 forgotten = static_cast<int64>(run_sql(source, {{FLOAT8OID, Float8GetDatum(seconds)}}, SPI_OK_DELETE));
    removal.end();
    owner.leave();
    return forgotten;
}

}  // namespace rill
