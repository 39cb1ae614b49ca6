// stream_trim, stream_delete: check the caller's rights, then work as the tables' owner (trim.cpp, delete_stream.cpp).
#include "base/arguments.hpp"
#include "base/boundary.hpp"
#include "retention/delete_stream.hpp"
#include "retention/trim.hpp"
#include "tables/privileges.hpp"

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
                        errhint("Chunks with lower ids are removed; 0 removes none.")));
    require_privilege(ACL_UPDATE);
    StreamRow row;
    // As with UPDATE itself, a stream that may not be changed is not found.
    if (before <= 1 || !find_current_stream(name.data, name.size, &row) || !may_change(row.id))
        PG_RETURN_INT64(0);
    const int64 through = Min(before - 1, highest_trimmable(row));
    PG_RETURN_INT64(through > row.trimmed_through ? trim_stream(row.id, through) : 0);
}

// stream_delete(stream text) returns boolean
RILL_FUNCTION(pg_rill_delete) {
    using namespace rill;
    require_writable("stream_delete()");
    const StreamName name = stream_argument(fcinfo, 0);
    require_privilege(ACL_DELETE);
    StreamRow row;
    if (!find_current_stream(name.data, name.size, &row) || !may_delete(row.id))
        PG_RETURN_BOOL(false);
    PG_RETURN_BOOL(delete_stream(name, row.id, true));
}
