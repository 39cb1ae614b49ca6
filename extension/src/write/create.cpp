// stream_create, stream_set_limits, stream_set_metadata: creating a stream and changing its settings.
#include "base/boundary.hpp"
#include "tables/catalog.hpp"
#include "tables/privileges.hpp"
#include "tables/spi.hpp"
#include "tables/stream_rows.hpp"
#include "write/limits.hpp"
#include "write/open_stream.hpp"

namespace rill {

namespace {

constexpr Size kMaxMetadataBytes = 8192;

Datum metadata_argument(FunctionCallInfo fcinfo, int n) {
    if (PG_ARGISNULL(n))
        return 0;
    const Datum metadata = PointerGetDatum(PG_GETARG_JSONB_P(n));
    const Size size = VARSIZE_ANY(DatumGetPointer(metadata));
    if (size > kMaxMetadataBytes)
        ereport(ERROR,
                (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("argument \"metadata\" is too large: %zu bytes", size),
                 errhint("Metadata has at most %zu bytes as jsonb; store more in a chunk or a table of your own.",
                         kMaxMetadataBytes)));
    return metadata;
}

// A stream that the caller may change (UPDATE). As with UPDATE itself, one that may not be changed is not found.
bool find_to_change(const StreamName &name, StreamRow *row) {
    require_privilege(ACL_UPDATE);
    return find_current_stream(name.data, name.size, row) && may_change(row->id);
}

}  // namespace

}  // namespace rill

// stream_create(stream text, max_age interval, max_chunks bigint, max_bytes bigint, delete_after_close interval,
//               max_idle interval, expires_at timestamptz, metadata jsonb) returns boolean
RILL_FUNCTION(pg_rill_create) {
    using namespace rill;
    require_writable("stream_create()");
    const StreamName name = stream_argument(fcinfo, 0);
    const StreamSettings settings = {limit_arguments(fcinfo, 1), metadata_argument(fcinfo, 1 + kLimits),
                                     PG_ARGISNULL(1 + kLimits)};
    PG_RETURN_BOOL(open_or_create(name, &settings).created);
}

// stream_set_limits(stream text, ...the six limits) returns boolean
RILL_FUNCTION(pg_rill_set_limits) {
    using namespace rill;
    require_writable("stream_set_limits()");
    const StreamName name = stream_argument(fcinfo, 0);
    const Limits limits = limit_arguments(fcinfo, 1);
    StreamRow row;
    PG_RETURN_BOOL(find_to_change(name, &row) && store_limits(row.id, limits));
}

// stream_set_metadata(stream text, metadata jsonb) returns boolean
RILL_FUNCTION(pg_rill_set_metadata) {
    using namespace rill;
    require_writable("stream_set_metadata()");
    const StreamName name = stream_argument(fcinfo, 0);
    const Datum metadata = metadata_argument(fcinfo, 1);
    StreamRow row;
    if (!find_to_change(name, &row))
        PG_RETURN_BOOL(false);
    const OwnerScope owner(tables().stream);
    const bool there =
        run_without_triggers(psprintf("UPDATE ONLY %s SET metadata = $2 WHERE stream_id OPERATOR(pg_catalog.=) $1",
                                      qualified_table("stream")),
                             {{INT8OID, Int64GetDatum(row.id)}, {JSONBOID, metadata, PG_ARGISNULL(1)}}) > 0;
    owner.leave();
    // Policies may use metadata: the caller must have the right to the row as changed.
    if (there && !may_change(row.id))
        refuse_stream(name.data, name.size);
    PG_RETURN_BOOL(there);
}
