// Triggers of the extension's own tables, for what others write there: COPY, statements by hand, a restore, logical
// replication. Such changes invalidate what sessions and the id cache know of the streams, and wake their readers;
// streams cannot be deleted by hand, as that would leave chunks behind. Appends fire none of these triggers, nor do
// other functions of ours. While one is disabled, nothing is cached (catalog.cpp). Logical replication fires no
// statement triggers, except for TRUNCATE and its initial COPY, hence the row triggers.
#include "base/boundary.hpp"
#include "base/pg_compat.hpp"
#include "shmem/id_cache.hpp"
#include "shmem/retention_queue.hpp"
#include "tables/catalog.hpp"
#include "tables/stream_cache.hpp"
#include "tables/stream_rows.hpp"
#include "wake/transaction_end.hpp"

namespace rill {

namespace {

const TriggerData *trigger_data(FunctionCallInfo fcinfo, const char *function) {
    if (!CALLED_AS_TRIGGER(fcinfo))
        ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                        errmsg("function \"%s\" was not called by trigger manager", function)));
    return reinterpret_cast<const TriggerData *>(fcinfo->context);
}

// The row that a row trigger was fired for: the new one, if there is one.
HeapTuple changed_row(const TriggerData *data) {
    return TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple : data->tg_trigtuple;
}

int64 int8_column(const TriggerData *data, AttrNumber column) {
    bool isnull;
    return DatumGetInt64(heap_getattr(changed_row(data), column, RelationGetDescr(data->tg_relation), &isnull));
}

// Wakes the readers of a stream when this transaction ends.
void note_replicated_stream(int64 stream_id) {
    // Consecutive chunks are mostly of one stream.
    static struct {
        int64 stream_id;
        uint64 key;
        uint64 mark;
        uint64 generation;
    } last = {0, 0, 0, 0};
    if (last.stream_id != stream_id || last.generation != rights_generation()) {
        const Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
        text *name = name_of_stream(stream_id, snapshot);
        UnregisterSnapshot(snapshot);
        // If the stream has no name yet (the initial copy of table stream may come later), the next chunk asks again.
        last = {name != nullptr ? stream_id : 0, name != nullptr ? stream_name(name, "stream").key : 0, 0,
                rights_generation()};
    }
    register_transaction_callbacks();
    note_changed_stream(last.key, stream_id, &last.mark);
    queue_for_retention(my_database_slot(), stream_id);
}

// A chunk has been stored or changed whose id was given elsewhere.
void note_replicated_chunk(const TriggerData *data) {
    const int64 stream_id = int8_column(data, kChunkStream);
    const core::StreamKey key = stream_key(RelationGetRelid(data->tg_relation), stream_id);
    bool isnull;
    const bool eof =
        DatumGetBool(heap_getattr(changed_row(data), kChunkEof, RelationGetDescr(data->tg_relation), &isnull));
    raise_last_id(key, int8_column(data, kChunkId), eof);
    note_replicated_stream(stream_id);
}

}  // namespace

}  // namespace rill

// stream_changed() returns trigger
RILL_FUNCTION(pg_rill_changed) {
    CacheInvalidateRelcache(rill::trigger_data(fcinfo, "stream_changed")->tg_relation);  // sent at the commit
    return PointerGetDatum(nullptr);
}

// stream_guard() returns trigger
RILL_FUNCTION(pg_rill_guard) {
    const TriggerData *data = rill::trigger_data(fcinfo, "stream_guard");
    const char *table = RelationGetRelationName(data->tg_relation);
    if (!rill::owns_relation(RelationGetRelid(data->tg_relation)))
        ereport(ERROR,
                (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("must be owner of table \"%s\" to write it", table),
                 errhint("Privileges on this table are for the functions: use stream_create(), stream_append(),"
                         " stream_set_limits(), stream_set_metadata() or stream_delete().")));
    const bool removes = TRIGGER_FIRED_BY_DELETE(data->tg_event) || TRIGGER_FIRED_BY_TRUNCATE(data->tg_event);
    if (removes && SessionReplicationRole != SESSION_REPLICATION_ROLE_REPLICA)
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                 errmsg("cannot remove streams from table \"%s\" directly", table), errhint("Use stream_delete().")));
    return PointerGetDatum(nullptr);
}

// stream_loaded() returns trigger
RILL_FUNCTION(pg_rill_loaded) {
    (void) rill::trigger_data(fcinfo, "stream_loaded");
    rill::note_loaded();
    return PointerGetDatum(nullptr);
}

// stream_replicated() returns trigger
RILL_FUNCTION(pg_rill_replicated) {
    using namespace rill;
    const TriggerData *data = trigger_data(fcinfo, "stream_replicated");
    if (!TRIGGER_FIRED_FOR_ROW(data->tg_event) || !TRIGGER_FIRED_AFTER(data->tg_event))
        return PointerGetDatum(changed_row(data));
    if (RelationGetRelid(data->tg_relation) == tables().chunk)
        note_replicated_chunk(data);
    else if (RelationGetRelid(data->tg_relation) == tables().state)
        raise_last_id(stream_key(tables().chunk, int8_column(data, kStateStream)), int8_column(data, kTrimmedThrough),
                      false);
    return PointerGetDatum(changed_row(data));
}
