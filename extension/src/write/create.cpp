// stream_create, and the creation of a stream by its first append.
// The row is inserted by an ordinary INSERT as the caller, so that privileges, policies and
// triggers are the server's own business; it waits for a transaction that is creating the same
// name (I3's exception). Changing an existing row needs UPDATE alone, and SQL's own UPDATE ...
// WHERE would need SELECT too: so rights are checked here, and the change is made as the table's
// owner, the way the server's foreign-key triggers do it.
#include "write/create.hpp"

#include "base/boundary.hpp"
#include "tables/catalog.hpp"
#include "tables/spi.hpp"
#include "tables/privileges.hpp"
#include "wake/transaction_end.hpp"

namespace rill {

namespace {

bool find_latest(const StreamName &name, StreamRow *row) {
    const Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
    const bool found = find_stream(name.data, name.size, snapshot, row);
    UnregisterSnapshot(snapshot);
    return found;
}

constexpr Oid kRetentionTypes[4] = {INTERVALOID, INT8OID, INT8OID, INTERVALOID};

bool insert_stream(const StreamName &name, const Retention *retention) {
    const char *source = psprintf("INSERT INTO %s (name, owner, max_age, max_chunks, max_bytes, delete_after_close)"
                                  " VALUES ($1, current_user, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                                  qualified_table("stream"));
    SqlValue values[5] = {{TEXTOID, PointerGetDatum(cstring_to_text_with_len(name.data, name.size))}};
    for (int i = 0; i < 4; ++i)
        values[i + 1] = {kRetentionTypes[i], retention != nullptr ? retention->values[i] : 0,
                         retention == nullptr || retention->nulls[i]};
    return run_sql(source, values, 5, SPI_OK_INSERT, nullptr, nullptr) > 0;
}

// False when the stream has been deleted meanwhile.
bool change_retention(int64 stream_id, const Retention &retention) {
    const char *source = psprintf("UPDATE %s SET max_age = $2, max_chunks = $3, max_bytes = $4, delete_after_close = $5"
                                  " WHERE stream_id OPERATOR(pg_catalog.=) $1 AND deleted_at IS NULL",
                                  qualified_table("stream"));
    SqlValue values[5] = {{INT8OID, Int64GetDatum(stream_id)}};
    for (int i = 0; i < 4; ++i)
        values[i + 1] = {kRetentionTypes[i], retention.values[i], retention.nulls[i]};
    const OwnerScope owner(tables().stream);
    const bool there = run_sql(source, values, 5, SPI_OK_UPDATE, nullptr, nullptr) > 0;
    owner.leave();
    return there;
}

Retention retention_arguments(FunctionCallInfo fcinfo) {
    Retention retention = {};
    const char *const names[4] = {"max_age", "max_chunks", "max_bytes", "delete_after_close"};
    for (int i = 0; i < 4; ++i) {
        retention.nulls[i] = PG_ARGISNULL(i + 1);
        if (retention.nulls[i])
            continue;
        retention.values[i] = PG_GETARG_DATUM(i + 1);
        const Interval zero = {};
        const bool bad =
            kRetentionTypes[i] == INT8OID
                ? DatumGetInt64(retention.values[i]) < 1
                : DatumGetInt32(DirectFunctionCall2(interval_cmp, retention.values[i], IntervalPGetDatum(&zero))) < 0;
        if (bad)
            ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                            errmsg("argument \"%s\" must %s", names[i],
                                   kRetentionTypes[i] == INT8OID ? "be at least 1" : "not be negative"),
                            errhint("Null means no limit.")));
    }
    return retention;
}

}  // namespace

namespace {

// A stream created again under the name of a deleted one goes on with higher ids (I4).
void go_on_after_deleted(const StreamName &name, StreamRow *row) {
    const Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
    const int64 last = last_id_of_deleted(name.data, name.size, snapshot);
    UnregisterSnapshot(snapshot);
    if (last == 0)
        return;
    const char *source =
        psprintf("UPDATE %s SET trimmed_through = $2, begins_after = $2 WHERE stream_id OPERATOR(pg_catalog.=) $1",
                 qualified_table("stream"));
    const OwnerScope owner(tables().stream);
    (void) run_sql(source, {{INT8OID, Int64GetDatum(row->id)}, {INT8OID, Int64GetDatum(last)}}, SPI_OK_UPDATE);
    owner.leave();
}

}  // namespace

OpenStream open_or_create(const StreamName &name, const Retention *retention) {
    StreamRow row;
    if (find_latest(name, &row) && may_change(row.id))
        return {row.id, row.own, false};
    // From here on the steps are the same whether or not a row is there that the caller may not touch.
    const bool created = insert_stream(name, retention);
    if (!find_latest(name, &row) || (!created && !may_change(row.id)))
        refuse_stream(name.data, name.size);
    if (created)
        go_on_after_deleted(name, &row);
    return {row.id, row.own, created};
}

}  // namespace rill

// stream_create(stream text, max_age interval, max_chunks bigint, max_bytes bigint, delete_after_close interval)
// returns boolean
RILL_FUNCTION(pg_rill_create) {
    using namespace rill;
    PreventCommandIfReadOnly("stream_create()");
    PreventCommandIfParallelMode("stream_create()");
    PreventCommandDuringRecovery("stream_create()");
    const StreamName name = stream_argument(fcinfo, 0);
    const Retention retention = retention_arguments(fcinfo);
    bool limited = false;
    for (const bool isnull : retention.nulls)
        limited = limited || !isnull;
    for (;;) {
        const OpenStream stream = open_or_create(name, &retention);
        if (!stream.created && !change_retention(stream.id, retention))
            continue;
        if (limited)
            want_retention();
        PG_RETURN_BOOL(stream.created);
    }
}
