// stream_names: how a listener learns the names of streams that were not there when it began. A payload of
// stream_listen() holds ids of all streams of the database; the names are only of those that the caller may see.
//
// Must survive: 100,000 ids (each costs one access to the primary key, and one judgement under row-level security); ids
// that are repeated, were never given, or are those of deleted streams.
#include "base/boundary.hpp"
#include "base/pg_compat.hpp"
#include "base/arguments.hpp"
#include "read/read_snapshot.hpp"
#include "tables/privileges.hpp"
#include "tables/stream_rows.hpp"

#include <algorithm>

// stream_names(stream_ids bigint[]) returns setof (stream_id bigint, name text)
RILL_FUNCTION(pg_rill_names) {
    using namespace rill;
    Datum *ids;
    int count;
    array_argument(fcinfo, 0, "stream_ids", INT8OID, &ids, nullptr, &count);
    ReturnSetInfo *out = begin_srf(fcinfo);
    require_privilege(ACL_SELECT);
    const auto less = [](Datum a, Datum b) { return DatumGetInt64(a) < DatumGetInt64(b); };
    std::sort(ids, ids + count, less);
    ReadSnapshot snapshot;
    snapshot.begin();
    const bool plain = !policies_apply();
    for (int i = 0; i < count; ++i) {
        CHECK_FOR_INTERRUPTS();
        if (i > 0 && !less(ids[i - 1], ids[i]))
            continue;
        text *const name = name_of_stream(DatumGetInt64(ids[i]), snapshot.snapshot());
        if (name == nullptr)
            continue;
        if (plain || snapshot.may_see(DatumGetInt64(ids[i]))) {
            Datum values[2] = {ids[i], PointerGetDatum(name)};
            bool nulls[2] = {};
            tuplestore_putvalues(out->setResult, out->setDesc, values, nulls);
        }
        pfree(name);
    }
    snapshot.end();
    return static_cast<Datum>(0);
}
