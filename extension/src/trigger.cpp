// The trigger on table `stream`: changes made by hand reach what sessions remember of streams,
// and rows whose chunks would be left behind cannot be taken away by hand.
#include "boundary.hpp"
#include "catalog.hpp"

// stream_guard() returns trigger
RILL_FUNCTION(pg_rill_guard) {
    if (!CALLED_AS_TRIGGER(fcinfo))
        ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED), errmsg("stream_guard() must be called as a trigger")));
    const auto *data = reinterpret_cast<TriggerData *>(fcinfo->context);
    if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
        CacheInvalidateRelcache(data->tg_relation);  // sent when this transaction commits
    else
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("streams cannot be removed from table \"%s\" directly", RelationGetRelationName(data->tg_relation)),
                        errhint("Use stream_delete().")));
    return PointerGetDatum(nullptr);
}
