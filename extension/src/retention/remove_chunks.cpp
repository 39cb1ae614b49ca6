// See remove_chunks.hpp.
// As long as no user has added a trigger for deletes to the table, rows are deleted here, one after the other as the
// scan meets them: about a third of the work of a DELETE, and heap_delete() can be told not to wait. It does all that
// the executor would: TOAST, the replica identity, the old key for logical decoding, the checks of serializable
// transactions. Index entries stay until vacuum, as with DELETE; scans begin behind trimmed_through and do not meet
// them. With such a trigger a DELETE runs, as the table's owner. The worker's locks the rows first, so that it waits
// for none. Must survive: rows that are locked, deleted or updated by hand meanwhile, and rollback at any point.
#include "retention/remove_chunks.hpp"

#include "retention/retention_worker.hpp"
#include "tables/catalog.hpp"
#include "tables/spi.hpp"

namespace rill {

namespace {

constexpr int kDeletedAtOnce = 20;  // chunks that one statement of the worker deletes

// The extension's own triggers on the table report what others do.
bool has_delete_triggers(Relation chunks) {
    if (chunks->trigdesc == nullptr)
        return false;
    const char quiet =
        SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA ? TRIGGER_FIRES_ON_ORIGIN : TRIGGER_FIRES_ON_REPLICA;
    const Oid extension = get_extension_oid("pg_rill", false);
    for (int i = 0; i < chunks->trigdesc->numtriggers; ++i)
        if (const Trigger &trigger = chunks->trigdesc->triggers[i];
            TRIGGER_FOR_DELETE(trigger.tgtype) && trigger.tgenabled != quiet && trigger.tgenabled != TRIGGER_DISABLED &&
            getExtensionOfObject(ProcedureRelationId, trigger.tgfoid) != extension)
            return true;
    return false;
}

// False when a row has been changed by another session, so that only a DELETE can follow it.
bool delete_rows(const RemovalRange &range, ReadSnapshot &snapshot, Removed *removed) {
    const Relation chunks = table_open(tables().chunk, RowExclusiveLock);
    CheckCmdReplicaIdentity(chunks, CMD_DELETE);  // else subscribers would keep the rows, and nobody would know
    const CommandId command = GetCurrentCommandId(true);
    ChunkScan &scan = snapshot.scan();
    bool changed = false;
    scan.start(range.stream_id, range.after);
    while (!changed && !removed->blocked && !removed->cut && scan.next() && scan.id() <= range.through &&
           (range.eof || !scan.eof())) {
        const int64 id = scan.id();
        const int64 size = id <= range.counted_to ? scan.size() : 0;
        ItemPointerData at = scan.tid();
        TM_FailureData failure;
        switch (table_tuple_delete(chunks, &at, command, snapshot.snapshot(), InvalidSnapshot, range.wait, &failure,
                                   false)) {
        case TM_Ok:
            ++removed->chunks;
            removed->counted += id <= range.counted_to ? 1 : 0;
            removed->counted_bytes += size;
            removed->through = id;
            removed->cut = !range.wait && id < range.through && batch_time_is_up();
            break;
        case TM_BeingModified:
        case TM_WouldBlock:
            removed->blocked = true;
            break;
        default:
            changed = true;
        }
    }
    if (!changed && !removed->blocked && !removed->cut)
        removed->through = range.through;
    table_close(chunks, NoLock);
    return !changed;
}

void delete_by_statement(const RemovalRange &range, Removed *removed) {
    const char *table = qualified_table("stream_chunk");
    const char *where = psprintf("stream_id OPERATOR(pg_catalog.=) $1 AND chunk_id OPERATOR(pg_catalog.>) $2"
                                 " AND chunk_id OPERATOR(pg_catalog.<=) $3%s",
                                 range.eof ? "" : " AND NOT eof");
    const std::initializer_list<SqlValue> values = {{INT8OID, Int64GetDatum(range.stream_id)},
                                                    {INT8OID, Int64GetDatum(removed->through)},
                                                    {INT8OID, Int64GetDatum(range.through)}};
    const OwnerScope owner(tables().chunk);
    if (!range.wait) {
        const char *every = psprintf("SELECT FROM ONLY %s WHERE %s", table, where);
        removed->blocked = run_sql(psprintf("%s FOR UPDATE SKIP LOCKED", every), values, SPI_OK_SELECT) <
                           run_sql(every, values, SPI_OK_SELECT);
    }
    if (!removed->blocked) {
        int64 results[3];
        delete_returning(
            psprintf(
                "WITH gone AS (DELETE FROM ONLY %s WHERE %s RETURNING chunk_id, pg_catalog.octet_length(data) AS size)"
                " SELECT pg_catalog.count(*),"
                " pg_catalog.count(*) FILTER (WHERE chunk_id OPERATOR(pg_catalog.<=) $4),"
                " (pg_catalog.sum(size) FILTER (WHERE chunk_id OPERATOR(pg_catalog.<=) $4))::pg_catalog.int8 FROM gone",
                table, where),
            {{INT8OID, Int64GetDatum(range.stream_id)},
             {INT8OID, Int64GetDatum(removed->through)},
             {INT8OID, Int64GetDatum(range.through)},
             {INT8OID, Int64GetDatum(range.counted_to)}},
            results, lengthof(results));
        removed->chunks += results[0];
        removed->counted += results[1];
        removed->counted_bytes += results[2];
        removed->through = range.through;
    }
    owner.leave();
}

// As many statements as there is time for.
void delete_by_statements(const RemovalRange &range, Removed *removed) {
    while (removed->through < range.through && !removed->blocked && !removed->cut) {
        RemovalRange some = range;
        ReadSnapshot snapshot;
        snapshot.begin();
        snapshot.scan().start(range.stream_id, removed->through);
        for (int n = 0; snapshot.scan().next() && snapshot.scan().id() < range.through;)
            if (++n == kDeletedAtOnce) {
                some.through = snapshot.scan().id();
                break;
            }
        snapshot.end();
        delete_by_statement(some, removed);
        removed->cut = removed->through < range.through && !removed->blocked && batch_time_is_up();
    }
}

}  // namespace

Removed remove_chunks(const RemovalRange &range) {
    Removed removed = {range.after, 0, 0, 0, false, false};
    ReadSnapshot snapshot;
    snapshot.begin();
    const bool direct = !has_delete_triggers(snapshot.chunks());
    const bool done = direct && delete_rows(range, snapshot, &removed);
    snapshot.end();
    if (direct)
        CommandCounterIncrement();
    if (!done && range.wait)
        delete_by_statement(range, &removed);
    else if (!done)
        delete_by_statements(range, &removed);
    return removed;
}

}  // namespace rill
