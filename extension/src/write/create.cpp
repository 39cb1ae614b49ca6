// stream_create: creates a stream with its limits, or changes the limits of one that is there.
#include "base/boundary.hpp"
#include "tables/catalog.hpp"
#include "tables/stream_rows.hpp"
#include "tables/spi.hpp"
#include "wake/transaction_end.hpp"
#include "write/open_stream.hpp"

namespace rill {

namespace {

LimitValues limit_arguments(FunctionCallInfo fcinfo) {
    LimitValues limits = {};
    const char *const names[kLimits] = {"max_age", "max_chunks", "max_bytes", "delete_after_close"};
    for (int i = 0; i < kLimits; ++i) {
        limits.nulls[i] = PG_ARGISNULL(i + 1);
        if (limits.nulls[i])
            continue;
        limits.values[i] = PG_GETARG_DATUM(i + 1);
        const bool is_count = kLimitTypes[i] == INT8OID;
        const Interval zero = {};
        const bool bad =
            is_count ? DatumGetInt64(limits.values[i]) < 1
                     : DatumGetInt32(DirectFunctionCall2(interval_cmp, limits.values[i], IntervalPGetDatum(&zero))) < 0;
        if (bad)
            ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                            errmsg("argument \"%s\" must %s", names[i], is_count ? "be at least 1" : "not be negative"),
                            errhint("Null means no limit.")));
    }
    return limits;
}

// False when the stream has been deleted meanwhile.
bool change_limits(int64 stream_id, const LimitValues &limits) {
    const char *source = psprintf("UPDATE %s SET max_age = $2, max_chunks = $3, max_bytes = $4, delete_after_close = $5"
                                  " WHERE stream_id OPERATOR(pg_catalog.=) $1 AND deleted_at IS NULL",
                                  qualified_table("stream"));
    SqlValue values[1 + kLimits] = {{INT8OID, Int64GetDatum(stream_id)}};
    for (int i = 0; i < kLimits; ++i)
        values[1 + i] = {kLimitTypes[i], limits.values[i], limits.nulls[i]};
    const OwnerScope owner(tables().stream);
    const bool there = run_sql(source, values, 1 + kLimits, SPI_OK_UPDATE, nullptr, nullptr) > 0;
    owner.leave();
    return there;
}

}  // namespace

}  // namespace rill

// stream_create(stream text, max_age interval, max_chunks bigint, max_bytes bigint, delete_after_close interval)
// returns boolean
RILL_FUNCTION(pg_rill_create) {
    using namespace rill;
    require_writable("stream_create()");
    const StreamName name = stream_argument(fcinfo, 0);
    const LimitValues limits = limit_arguments(fcinfo);
    bool limited = false;
    for (const bool isnull : limits.nulls)
        limited = limited || !isnull;
    for (;;) {
        const OpenStream stream = open_or_create(name, &limits);
        if (!stream.created && !change_limits(stream.id, limits))
            continue;
        if (limited)
            request_retention();
        PG_RETURN_BOOL(stream.created);
    }
}
