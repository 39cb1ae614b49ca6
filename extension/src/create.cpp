// stream_create, and the creation of a stream by its first append.
// The row is inserted by an ordinary INSERT as the caller, so that privileges, policies and
// triggers are the server's own business; it waits for a transaction that is creating the same
// name (I3's exception). Changing an existing row needs UPDATE alone, and SQL's own UPDATE ...
// WHERE would need SELECT too: so rights are checked here, and the change is made as the table's
// owner, the way the server's foreign-key triggers do it.
#include "create.hpp"

#include "boundary.hpp"
#include "catalog.hpp"
#include "owner.hpp"
#include "rights.hpp"

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
    Oid types[5] = {TEXTOID};
    Datum values[5] = {PointerGetDatum(cstring_to_text_with_len(name.data, name.size))};
    char nulls[6] = " nnnn";
    for (int i = 0; i < 4; ++i) {
        types[i + 1] = kRetentionTypes[i];
        if (retention != nullptr && !retention->nulls[i]) {
            values[i + 1] = retention->values[i];
            nulls[i + 1] = ' ';
        }
    }
    return run_sql(source, 5, types, values, nulls, SPI_OK_INSERT) > 0;
}

void change_retention(int64 stream_id, const Retention &retention) {
    const char *source = psprintf("UPDATE %s SET max_age = $2, max_chunks = $3, max_bytes = $4, delete_after_close = $5"
                                  " WHERE stream_id OPERATOR(pg_catalog.=) $1",
                                  qualified_table("stream"));
    Oid types[5] = {INT8OID};
    Datum values[5] = {Int64GetDatum(stream_id)};
    char nulls[6] = "     ";
    for (int i = 0; i < 4; ++i) {
        types[i + 1] = kRetentionTypes[i];
        values[i + 1] = retention.values[i];
        nulls[i + 1] = retention.nulls[i] ? 'n' : ' ';
    }
    const OwnerScope owner(tables().stream);
    (void) run_sql(source, 5, types, values, nulls, SPI_OK_UPDATE);
    owner.leave();
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
        const bool bad = kRetentionTypes[i] == INT8OID
                             ? DatumGetInt64(retention.values[i]) < 1
                             : DatumGetInt32(DirectFunctionCall2(interval_cmp, retention.values[i], IntervalPGetDatum(&zero))) < 0;
        if (bad)
            ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                            errmsg("argument \"%s\" must %s", names[i], kRetentionTypes[i] == INT8OID ? "be at least 1" : "not be negative"),
                            errhint("Null means no limit.")));
    }
    return retention;
}

}  // namespace

bool may_change(int64 stream_id) {
    if (!has_privilege(ACL_UPDATE))
        return false;
    if (!policies_apply())
        return true;
    const Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
    const bool allowed = policy_allows(CMD_UPDATE, stream_id, snapshot);
    UnregisterSnapshot(snapshot);
    return allowed;
}

OpenStream open_or_create(const StreamName &name, const Retention *retention) {
    StreamRow row;
    if (find_latest(name, &row) && may_change(row.id))
        return {row.id, row.own, false};
    // From here on the steps are the same whether or not a row is there that the caller may not touch.
    const bool created = insert_stream(name, retention);
    if (!find_latest(name, &row) || (!created && !may_change(row.id)))
        refuse_stream(name.data, name.size);
    return {row.id, row.own, created};
}

}  // namespace rill

// stream_create(stream text, max_age interval, max_chunks bigint, max_bytes bigint, delete_after_close interval) returns boolean
RILL_FUNCTION(pg_rill_create) {
    using namespace rill;
    PreventCommandIfReadOnly("stream_create()");
    PreventCommandIfParallelMode("stream_create()");
    PreventCommandDuringRecovery("stream_create()");
    const StreamName name = stream_argument(fcinfo, 0);
    const Retention retention = retention_arguments(fcinfo);
    const OpenStream stream = open_or_create(name, &retention);
    if (!stream.created)
        change_retention(stream.id, retention);
    PG_RETURN_BOOL(stream.created);
}
