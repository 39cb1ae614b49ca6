// Triggers of the extension's own tables. Changes made by hand invalidate what sessions have cached about streams, rows
// cannot be deleted by hand if that would leave chunks behind, and chunks stored by logical replication are noted.
#include "base/boundary.hpp"
#include "base/pg_compat.hpp"
#include "shmem/id_cache.hpp"
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

// A chunk whose id was given elsewhere has been stored here.
void note_replicated_chunk(Relation chunks, int64 stream_id, int64 id, bool eof) {
    // Consecutive chunks are mostly of one stream.
    static struct {
        int64 stream_id;
        uint64 key;
        uint64 mark;
        uint64 generation;
    } last = {0, 0, 0, 0};
    raise_last_id(stream_key(RelationGetRelid(chunks), stream_id), id, eof);
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
    rill::forget_table(RelationGetRelid(rill::trigger_data(fcinfo, "stream_loaded")->tg_relation));
    return PointerGetDatum(nullptr);
}

// stream_replicated() returns trigger
RILL_FUNCTION(pg_rill_replicated) {
    using namespace rill;
    const TriggerData *data = trigger_data(fcinfo, "stream_replicated");
    if (TRIGGER_FIRED_BY_INSERT(data->tg_event) && TRIGGER_FIRED_FOR_ROW(data->tg_event) &&
        RelationGetRelid(data->tg_relation) == tables().chunk) {
        const TupleDesc desc = RelationGetDescr(data->tg_relation);
        bool isnull;
        const int64 stream_id = DatumGetInt64(heap_getattr(data->tg_trigtuple, kChunkStream, desc, &isnull));
        const int64 id = DatumGetInt64(heap_getattr(data->tg_trigtuple, kChunkId, desc, &isnull));
        const bool eof = DatumGetBool(heap_getattr(data->tg_trigtuple, kChunkEof, desc, &isnull));
        note_replicated_chunk(data->tg_relation, stream_id, id, eof);
    }
    return PointerGetDatum(data->tg_trigtuple);
}
