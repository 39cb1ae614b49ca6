// See open_stream.hpp.
// Rights are checked as the caller; what changes our tables then runs as their owner, without firing triggers
// (tables/spi.hpp). The row of a new stream is inserted first and checked afterwards: policies see the row as it is,
// and a refusal is an error that rolls it back. The insertion waits for a transaction that is creating the same name
// (I3's exception), and under REPEATABLE READ raises 40001 for a name that was taken since the snapshot
// (ExecCheckTIDVisible). Must survive: a stream of that name that the caller may not see (the same steps and the same
// refusal as for one that does not exist), a tombstone of that name, and policies whose functions call us again.
#include "write/open_stream.hpp"

#include "tables/catalog.hpp"
#include "tables/privileges.hpp"
#include "tables/spi.hpp"
#include "tables/stream_rows.hpp"
#include "write/limits.hpp"

namespace rill {

namespace {

bool find_latest(const StreamName &name, StreamRow *row) {
    const Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
    const bool found = find_stream(name.data, name.size, snapshot, row);
    UnregisterSnapshot(snapshot);
    return found;
}

bool insert_stream(const StreamName &name, const StreamSettings *settings) {
    const char *source =
        psprintf("INSERT INTO %s (name, owner, metadata) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING",
                 qualified_table("stream"));
    Name creator = static_cast<Name>(palloc0(NAMEDATALEN));
    namestrcpy(creator, GetUserNameFromId(GetUserId(), false));
    const SqlValue values[3] = {
        {TEXTOID, PointerGetDatum(cstring_to_text_with_len(name.data, name.size))},
        {NAMEOID, NameGetDatum(creator)},
        {JSONBOID, settings != nullptr ? settings->metadata : 0, settings == nullptr || settings->no_metadata}};
    static KeptPlan kept = {};
    const OwnerScope owner(tables().stream);
    const bool inserted = run_without_triggers(source, values, 3, &kept) > 0;
    owner.leave();
    return inserted;
}

// A stream created under the name of a deleted one continues with higher ids (I4).
void continue_ids(const StreamName &name, int64 stream_id) {
    const Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
    const int64 last = last_id_of_deleted(name.data, name.size, snapshot);
    UnregisterSnapshot(snapshot);
    if (last == 0)
        return;
    const char *source = psprintf("INSERT INTO %s AS s (stream_id, trimmed_through, begins_after) VALUES ($1, $2, $2)"
                                  " ON CONFLICT (stream_id) DO UPDATE SET trimmed_through = $2, begins_after = $2",
                                  qualified_table("stream_state"));
    const OwnerScope owner(tables().state);
    (void) run_without_triggers(source, {{INT8OID, Int64GetDatum(stream_id)}, {INT8OID, Int64GetDatum(last)}});
    owner.leave();
}

// The identity sequence was set back. Appends refuse such a stream, too (append.cpp).
void refuse_reused_id(const StreamName &name, int64 stream_id) {
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("stream \"%.*s\" has the id of a deleted stream: " INT64_FORMAT, name.size, name.data, stream_id),
             errhint("Set the identity sequence of table \"stream\" above every id that was ever used.")));
}

}  // namespace

OpenStream open_or_create(const StreamName &name, const StreamSettings *settings) {
    StreamRow row;
    if (find_latest(name, &row) && may_change(row.id))
        return {row.id, row.own, false};
    // From here on the steps are the same whether the stream does not exist or the caller has no right to it.
    require_privilege(ACL_INSERT);
    const bool created = insert_stream(name, settings);
    if (!find_latest(name, &row) || !(created ? may_create(row.id) : may_change(row.id)))
        refuse_stream(name.data, name.size);
    if (created) {
        if (stream_fate(row.id).deleted)
            refuse_reused_id(name, row.id);
        continue_ids(name, row.id);
        if (settings != nullptr)
            store_limits(row.id, settings->limits);
    }
    return {row.id, row.own, created};
}

bool find_for_append(const StreamName &name, StreamRow *row) {
    require_privilege(ACL_UPDATE);
    if (!find_latest(name, row))
        return false;
    const bool allowed = may_change(row->id);
    if (!allowed && may_read(row->id))
        refuse_stream(name.data, name.size);
    return allowed;
}

CachedStream *open_for_append(const StreamName &name, bool create, bool *created) {
    AcceptInvalidationMessages();
    if (CachedStream *cached = cached_stream(name)) {
        const int64 id = cached->id;
        const bool allowed = may_change(id);
        // Looked up again: a policy's functions may have used the cache, and emptied it.
        if (CachedStream *again = allowed ? cached_stream(name) : nullptr; again != nullptr && again->id == id)
            return again;
        forget_stream(name);
    }
    (void) tables();  // watches for invalidations from here on
    const uint64 generation = rights_generation();
    if (create) {
        const OpenStream stream = open_or_create(name, nullptr);
        *created |= stream.created;
        return cache_stream(name, stream.id, stream.own, generation);
    }
    StreamRow row;
    return find_for_append(name, &row) ? cache_stream(name, row.id, row.own, generation) : nullptr;
}

void remove_created(const StreamName &name, int64 stream_id) {
    const auto delete_row = [&](Oid table, const char *table_name) {
        const OwnerScope owner(table);
        (void) run_without_triggers(
            psprintf("DELETE FROM ONLY %s WHERE stream_id OPERATOR(pg_catalog.=) $1", qualified_table(table_name)),
            {{INT8OID, Int64GetDatum(stream_id)}});
        owner.leave();
    };
    delete_row(tables().stream, "stream");
    delete_row(tables().state, "stream_state");
    forget_stream(name);
}

void refuse_tombstone(const StreamName &stream) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("stream \"%.*s\" is marked as deleted", stream.size, stream.data),
                    errdetail("Its row in table \"stream_state\" is a tombstone, but there is a row in \"stream\"."),
                    errhint("Delete the row in \"stream_state\", or drop and restore the extension.")));
}

}  // namespace rill
