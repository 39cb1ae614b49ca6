// See limits.hpp. Limits that are set are due at once: retention then decides when the stream is due next.
// Must survive: a stream without a row in stream_state, one that is deleted meanwhile, and limits beyond the range of
// timestamps: the retention worker computes with them, and one bad row must not stop it.
#include "write/limits.hpp"

#include "shmem/id_cache.hpp"
#include "tables/append_lock.hpp"
#include "tables/catalog.hpp"
#include "tables/spi.hpp"
#include "tables/stream_rows.hpp"
#include "wake/transaction_end.hpp"

namespace rill {

namespace {

struct LimitArgument {
    const char *name;
    Oid type;
};
constexpr LimitArgument kArguments[kLimits] = {{"max_age", INTERVALOID},  {"max_chunks", INT8OID},
                                               {"max_bytes", INT8OID},    {"delete_after_close", INTERVALOID},
                                               {"max_idle", INTERVALOID}, {"expires_at", TIMESTAMPTZOID}};

// Null if the value is valid, else what is wrong with it.
const char *fault(const LimitArgument &argument, Datum value) {
    if (argument.type == INT8OID)
        return DatumGetInt64(value) < 1 ? "be at least 1" : nullptr;
    if (argument.type == TIMESTAMPTZOID)
        return TIMESTAMP_NOT_FINITE(DatumGetTimestampTz(value)) ? "be finite" : nullptr;
    const Interval zero = {};
    const Interval most = {0, 0, kMostMonths};
    if (DatumGetInt32(DirectFunctionCall2(interval_cmp, value, IntervalPGetDatum(&zero))) < 0)
        return "not be negative";
    return DatumGetInt32(DirectFunctionCall2(interval_cmp, value, IntervalPGetDatum(&most))) > 0
               ? "be at most 5000 years"
               : nullptr;
}

// From now on appends to the stream are reported to retention. Those that have stored before, without reporting, are
// found when the limits are committed and retention checks the stream for the first time: their rows are there, since
// they have released the append lock.
void tell_appends(int64 stream_id) {
    const Relation chunks = table_open(tables().chunk, RowExclusiveLock);  // see stream_key()
    const AppendLock lock(stream_id);
    lock.acquire();
    mark_limited(stream_key(RelationGetRelid(chunks), stream_id));
    lock.release();
    table_close(chunks, NoLock);
}

}  // namespace

bool Limits::any() const {
    for (const bool none : nulls)
        if (!none)
            return true;
    return false;
}

Limits limit_arguments(FunctionCallInfo fcinfo, int first) {
    Limits limits = {};
    for (int i = 0; i < kLimits; ++i) {
        limits.nulls[i] = PG_ARGISNULL(first + i);
        if (limits.nulls[i])
            continue;
        limits.values[i] = PG_GETARG_DATUM(first + i);
        if (const char *what = fault(kArguments[i], limits.values[i]))
            ereport(ERROR,
                    (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                     errmsg("argument \"%s\" must %s", kArguments[i].name, what), errhint("Null means no limit.")));
    }
    return limits;
}

bool store_limits(int64 stream_id, const Limits &limits) {
    if (limits.any())
        request_retention();
    const char *source = psprintf(
        limits.any()
            ? "INSERT INTO %s AS s"
              " (stream_id, max_age, max_chunks, max_bytes, delete_after_close, max_idle, expires_at, next_due)"
              " VALUES ($1, $2, $3, $4, $5, $6, $7, pg_catalog.clock_timestamp())"
              " ON CONFLICT (stream_id) DO UPDATE SET max_age = $2,"
              " max_chunks = $3, max_bytes = $4, delete_after_close = $5, max_idle = $6, expires_at = $7,"
              " next_due = pg_catalog.clock_timestamp() WHERE s.deleted_at IS NULL"
            : "UPDATE ONLY %s SET max_age = $2, max_chunks = $3, max_bytes = $4, delete_after_close = $5,"
              " max_idle = $6, expires_at = $7, next_due = NULL WHERE stream_id OPERATOR(pg_catalog.=) $1 AND "
              "deleted_at IS NULL",
        qualified_table("stream_state"));
    SqlValue values[1 + kLimits] = {{INT8OID, Int64GetDatum(stream_id)}};
    for (int i = 0; i < kLimits; ++i)
        values[1 + i] = {kArguments[i].type, limits.values[i], limits.nulls[i]};
    const OwnerScope owner(tables().state);
    const bool stored = run_without_triggers(source, values, 1 + kLimits) > 0;
    owner.leave();
    if (stored && limits.any())
        tell_appends(stream_id);
    return stored || !limits.any();
}

}  // namespace rill
