// Trimming, deleting and retention. See retention.hpp.
// Why a trim loses nothing: it goes no further than a chunk that is readable under its snapshot, so every id up to
// there is decided for ever (the stable prefix), and trimmed_through moves in the transaction that deletes the rows.
// Why ids go on after a delete (I4): the tombstone keeps the highest id ever given. It is read under the order lock
// after the tombstone was written and the tail marked, so every later append meets the tombstone (stream_fate) and
// every earlier one has its id counted.
// Must survive: another session trimming or deleting the same stream, appends that were running when the stream was
// deleted (their chunks are purged when they have ended), rollback at any point, REPEATABLE READ, and a stream whose
// limits were changed by hand to anything.
#include "retention/retention.hpp"

#include "base/boundary.hpp"
#include "tables/catalog.hpp"
#include "tables/append_lock.hpp"
#include "tables/spi.hpp"
#include "read/read.hpp"
#include "tables/privileges.hpp"
#include "shmem/id_cache.hpp"
#include "wake/transaction_end.hpp"

namespace rill {

namespace {

constexpr int64 kPurgedAtOnce = 10000;  // chunks that stream_delete itself removes when a worker does the rest

SqlValue int8_value(int64 value) { return {INT8OID, Int64GetDatum(value)}; }

struct StreamCounts {
    int64 trimmed_through;
    int64 counted_through;
    int64 counted_chunks;
    int64 counted_bytes;
};

// Locks the row of a stream that is not deleted. Without `wait` a row that somebody has locked counts as absent.
bool lock_stream(int64 stream_id, bool wait, StreamCounts *counts) {
    const char *source =
        psprintf("SELECT trimmed_through, counted_through, counted_chunks, counted_bytes FROM %s"
                 " WHERE stream_id OPERATOR(pg_catalog.=) $1 AND deleted_at IS NULL FOR NO KEY UPDATE%s",
                 qualified_table("stream"), wait ? "" : " SKIP LOCKED");
    return run_sql(source, {int8_value(stream_id)}, SPI_OK_SELECT, [counts](const SqlRow &row) {
               *counts = {row.int8(1), row.int8(2), row.int8(3), row.int8(4)};
           }) > 0;
}

// Deletes data chunks with ids in (after, through]. Those up to `counted` are taken off the counts.
int64 delete_chunks(int64 stream_id, int64 after, int64 through, StreamCounts *counts) {
    const char *source = psprintf(
        "WITH gone AS (DELETE FROM %s WHERE stream_id OPERATOR(pg_catalog.=) $1"
        " AND chunk_id OPERATOR(pg_catalog.>) $2 AND chunk_id OPERATOR(pg_catalog.<=) $3 AND NOT eof"
        " RETURNING chunk_id, pg_catalog.octet_length(data) AS size)"
        " SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE chunk_id OPERATOR(pg_catalog.<=) $4),"
        " (pg_catalog.sum(size) FILTER (WHERE chunk_id OPERATOR(pg_catalog.<=) $4))::pg_catalog.int8 FROM gone",
        qualified_table("stream_chunk"));
    int64 removed = 0;
    (void) run_sql(source,
                   {int8_value(stream_id), int8_value(after), int8_value(through), int8_value(counts->counted_through)},
                   SPI_OK_SELECT, [&](const SqlRow &row) {
                       removed = row.int8(1);
                       counts->counted_chunks -= row.int8(2);
                       counts->counted_bytes -= row.int8(3);
                   });
    return removed;
}

void store_counts(int64 stream_id, const StreamCounts &counts) {
    const char *source =
        psprintf("UPDATE %s SET trimmed_through = $2, counted_through = $3, counted_chunks = $4, counted_bytes = $5"
                 " WHERE stream_id OPERATOR(pg_catalog.=) $1",
                 qualified_table("stream"));
    (void) run_sql(source,
                   {int8_value(stream_id), int8_value(counts.trimmed_through), int8_value(counts.counted_through),
                    int8_value(counts.counted_chunks), int8_value(counts.counted_bytes)},
                   SPI_OK_UPDATE);
}

// Every id up to `through` must be decided, and none of them an EOF.
int64 trim(int64 stream_id, int64 through) {
    StreamCounts counts;
    int64 removed = 0;
    const OwnerScope owner(tables().stream);
    if (lock_stream(stream_id, true, &counts) && through > counts.trimmed_through) {
        removed = delete_chunks(stream_id, counts.trimmed_through, through, &counts);
        counts.trimmed_through = through;
        counts.counted_through = Max(counts.counted_through, through);
        store_counts(stream_id, counts);
    }
    owner.leave();
    return removed;
}

// Deletes up to `most` chunks that are visible now, the EOF too; what is not decided yet stays. Sets *all when the
// stream has been walked to its end and every chunk of it was decided.
int64 purge(int64 stream_id, int64 most, bool *all) {
    ReadSnapshot look;
    look.begin();
    look.scan().start(stream_id, 0);
    int64 through = 0;
    int64 count = 0;
    while (count < most && look.scan().next()) {
        through = look.scan().id();
        ++count;
    }
    *all = count < most && !look.scan().stopped();
    look.end();
    if (count == 0)
        return 0;
    const char *source =
        psprintf("DELETE FROM %s WHERE stream_id OPERATOR(pg_catalog.=) $1 AND chunk_id OPERATOR(pg_catalog.<=) $2",
                 qualified_table("stream_chunk"));
    return static_cast<int64>(run_sql(source, {int8_value(stream_id), int8_value(through)}, SPI_OK_DELETE));
}

// The highest id ever given to the stream, now that nobody can be given another one.
int64 seal_tail(int64 stream_id, int64 trimmed_through) {
    const Relation chunks = table_open(tables().chunk, AccessShareLock);
    const core::StreamKey key = stream_key(RelationGetRelid(chunks), stream_id);
    const AppendLock lock(stream_id);
    lock.acquire();
    mark_tail(key);
    const Tail tail = read_tail(chunks, stream_id);
    const CachedIds view = lookup_ids(key);
    lock.release();
    table_close(chunks, NoLock);
    return Max(Max(tail.any ? tail.id : 0, trimmed_through), view.last_known ? view.last_id : 0);
}

// False when the stream is not there (any more), or without `wait`, when somebody has locked its row.
bool remove_stream(const StreamName &name, int64 stream_id, bool wait) {
    StreamCounts counts;
    const OwnerScope owner(tables().stream);
    const bool there = lock_stream(stream_id, wait, &counts);
    if (there) {
        (void) run_sql(
            psprintf(
                "UPDATE %s SET deleted_at = pg_catalog.clock_timestamp() WHERE stream_id OPERATOR(pg_catalog.=) $1",
                qualified_table("stream")),
            {int8_value(stream_id)}, SPI_OK_UPDATE);
        store_counts(stream_id, {seal_tail(stream_id, counts.trimmed_through), 0, 0, 0});
        (void) run_sql(
            psprintf("DELETE FROM %s WHERE stream_id OPERATOR(pg_catalog.=) $1", qualified_table("stream_producer")),
            {int8_value(stream_id)}, SPI_OK_DELETE);
        bool all;
        (void) purge(stream_id, shared == nullptr ? PG_INT64_MAX : kPurgedAtOnce, &all);
        // Readers that wait are to find out that the stream is gone; the rest of it is the worker's.
        uint64 mark = 0;
        note_touched(name.key, stream_id, &mark);
        want_retention();  // registers the callbacks, too
    }
    owner.leave();
    return there;
}

// The highest id that a trim may remove: a readable one, and no EOF.
int64 highest_trimmable(const StreamRow &row, const Known &known) {
    ReadSnapshot look;
    look.begin();
    const VisibleStream stream = {true, row};
    int64 head = find_head(look, stream, known);
    if (is_eof(look, stream, head))
        --head;
    look.end();
    return head;
}

bool find_now(const StreamName &name, StreamRow *row) {
    const Snapshot snapshot =
        RegisterSnapshot(IsolationUsesXactSnapshot() ? GetTransactionSnapshot() : GetLatestSnapshot());
    const bool found = find_stream(name.data, name.size, snapshot, row);
    UnregisterSnapshot(snapshot);
    return found;
}

}  // namespace

Removed enforce_retention(const Limits &limits) {
    Removed removed = {0, 0, false};
    ReadSnapshot look;
    look.begin();
    if (limits.closed_before != DT_NOBEGIN) {
        const Tail tail = read_tail(look.chunks(), limits.stream_id);
        if (tail.eof && tail.eof_at <= limits.closed_before) {
            look.end();
            removed.streams = remove_stream(limits.name, limits.stream_id, false) ? 1 : 0;
            return removed;
        }
    }
    StreamCounts counts = {limits.trimmed_through, Max(limits.counted_through, limits.trimmed_through),
                           limits.counted_chunks, limits.counted_bytes};
    ChunkScan &scan = look.scan();
    int64 counted = 0;
    if (limits.max_chunks < PG_INT64_MAX || limits.max_bytes < PG_INT64_MAX) {
        scan.start(limits.stream_id, counts.counted_through);
        for (; counted < kCountingBatch && scan.next() && !scan.eof(); ++counted) {
            counts.counted_through = scan.id();
            ++counts.counted_chunks;
            counts.counted_bytes += scan.size();
        }
        removed.more = counted == kCountingBatch;
    }
    // What goes is at the beginning. The counts themselves are taken down when the rows are deleted.
    int64 through = limits.trimmed_through;
    int64 chunks = counts.counted_chunks;
    int64 bytes = counts.counted_bytes;
    int going = 0;
    scan.start(limits.stream_id, limits.trimmed_through);
    for (; going < kRetentionBatch && scan.next() && !scan.eof(); ++going) {
        if (scan.appended_at() >= limits.keep_since && chunks <= limits.max_chunks && bytes <= limits.max_bytes)
            break;
        through = scan.id();
        if (through <= counts.counted_through) {
            --chunks;
            bytes -= scan.size();
        }
    }
    removed.more = removed.more || going == kRetentionBatch;
    look.end();
    // Counts of a few chunks are not worth a new version of the row: they are counted again next time.
    if (going == 0 && counted < kCountingBatch)
        return removed;

    const OwnerScope owner(tables().stream);
    StreamCounts now;
    if (!lock_stream(limits.stream_id, false, &now) || now.trimmed_through != limits.trimmed_through ||
        now.counted_through != limits.counted_through)
        removed.more = false;  // somebody else is at it: the next round
    else {
        if (going > 0)
            removed.chunks = delete_chunks(limits.stream_id, counts.trimmed_through, through, &counts);
        counts.trimmed_through = through;
        counts.counted_through = Max(counts.counted_through, through);
        store_counts(limits.stream_id, counts);
    }
    owner.leave();
    return removed;
}

Removed purge_deleted(int64 stream_id) {
    bool all;
    Removed removed = {0, 0, false};
    const OwnerScope owner(tables().stream);
    removed.chunks = purge(stream_id, kRetentionBatch, &all);
    if (all) {
        (void) run_sql(
            psprintf("DELETE FROM %s WHERE stream_id OPERATOR(pg_catalog.=) $1", qualified_table("stream_producer")),
            {int8_value(stream_id)}, SPI_OK_DELETE);
        (void) run_sql(psprintf("UPDATE %s SET purged = true WHERE stream_id OPERATOR(pg_catalog.=) $1",
                                qualified_table("stream")),
                       {int8_value(stream_id)}, SPI_OK_UPDATE);
    } else
        removed.more = removed.chunks > 0;
    owner.leave();
    return removed;
}

int64 forget_tombstones(int seconds) {
    const char *source = psprintf(
        "DELETE FROM %s WHERE stream_id OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT stream_id FROM %s WHERE purged"
        " AND deleted_at OPERATOR(pg_catalog.<) (pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-)"
        " pg_catalog.make_interval(secs => $1)) LIMIT %d))",
        qualified_table("stream"), qualified_table("stream"), kRetentionBatch);
    const OwnerScope owner(tables().stream);
    const TombstoneRemoval removal;
    const int64 forgotten = static_cast<int64>(run_sql(source, {{FLOAT8OID, Float8GetDatum(seconds)}}, SPI_OK_DELETE));
    removal.end();
    owner.leave();
    return forgotten;
}

}  // namespace rill

// stream_trim(stream text, before bigint) returns bigint
RILL_FUNCTION(pg_rill_trim) {
    using namespace rill;
    require_writable("stream_trim()");
    const StreamName name = stream_argument(fcinfo, 0);
    if (PG_ARGISNULL(1))
        refuse_null("before");
    const int64 before = PG_GETARG_INT64(1);
    if (before < 0)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("argument \"before\" must not be negative: " INT64_FORMAT, before),
                        errhint("Chunks with ids below it are removed; 0 removes none.")));
    require_privilege(ACL_UPDATE);
    StreamRow row;
    // One that may not be changed is, as for UPDATE itself, not there.
    if (before <= 1 || !find_now(name, &row) || !may_change(row.id))
        PG_RETURN_INT64(0);
    const Known known = {
        row.id, IsolationUsesXactSnapshot() ? 0 : lookup_ids(stream_key(tables().chunk, row.id)).readable_through};
    const int64 through = Min(before - 1, highest_trimmable(row, known));
    PG_RETURN_INT64(through > row.trimmed_through ? trim(row.id, through) : 0);
}

// stream_delete(stream text) returns boolean
RILL_FUNCTION(pg_rill_delete) {
    using namespace rill;
    require_writable("stream_delete()");
    const StreamName name = stream_argument(fcinfo, 0);
    require_privilege(ACL_DELETE);
    StreamRow row;
    if (!find_now(name, &row) || !may_delete(row.id))
        PG_RETURN_BOOL(false);
    PG_RETURN_BOOL(remove_stream(name, row.id, true));
}
