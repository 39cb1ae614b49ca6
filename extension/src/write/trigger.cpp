// Triggers of the extension's own tables: changes made by hand reach what sessions remember of streams, rows whose
// chunks would be left behind cannot be taken away by hand, and what logical replication stores is made known.
#include "write/append.hpp"
#include "base/boundary.hpp"
#include "tables/catalog.hpp"
#include "tables/spi.hpp"
#include "shmem/id_cache.hpp"
#include "tables/stream_cache.hpp"
#include "wake/transaction_end.hpp"

namespace rill {

namespace {

void require_trigger(FunctionCallInfo fcinfo, const char *function) {
    if (!CALLED_AS_TRIGGER(fcinfo))
        ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                        errmsg("%s() must be called as a trigger", function)));
}

}  // namespace

}  // namespace rill

// stream_guard() returns trigger
RILL_FUNCTION(pg_rill_guard) {
    rill::require_trigger(fcinfo, "stream_guard");
    const auto *data = reinterpret_cast<TriggerData *>(fcinfo->context);
    if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
        CacheInvalidateRelcache(data->tg_relation);  // sent when this transaction commits
    else if (!rill::removing_tombstones())
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("streams cannot be removed from table \"%s\" directly",
                               RelationGetRelationName(data->tg_relation)),
                        errhint("Use stream_delete().")));
    return PointerGetDatum(nullptr);
}

// stream_loaded() returns trigger
RILL_FUNCTION(pg_rill_loaded) {
    rill::require_trigger(fcinfo, "stream_loaded");
    rill::forget_table(RelationGetRelid(reinterpret_cast<TriggerData *>(fcinfo->context)->tg_relation));
    return PointerGetDatum(nullptr);
}

// stream_replicated() returns trigger
RILL_FUNCTION(pg_rill_replicated) {
    using namespace rill;
    require_trigger(fcinfo, "stream_replicated");
    const auto *data = reinterpret_cast<TriggerData *>(fcinfo->context);
    if (TRIGGER_FIRED_BY_INSERT(data->tg_event) && TRIGGER_FIRED_FOR_ROW(data->tg_event) &&
        RelationGetRelid(data->tg_relation) == tables().chunk) {
        const TupleDesc desc = RelationGetDescr(data->tg_relation);
        bool isnull;
        const int64 stream_id = DatumGetInt64(heap_getattr(data->tg_trigtuple, kChunkStream, desc, &isnull));
        const int64 id = DatumGetInt64(heap_getattr(data->tg_trigtuple, kChunkId, desc, &isnull));
        const bool eof = DatumGetBool(heap_getattr(data->tg_trigtuple, kChunkEof, desc, &isnull));
        note_foreign_chunk(data->tg_relation, stream_id, id, eof);
    }
    return PointerGetDatum(data->tg_trigtuple);
}
