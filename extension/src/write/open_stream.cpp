// See open_stream.hpp.
// The row of a new stream is inserted by an ordinary INSERT as the caller, so privileges, policies and triggers are the
// server's own business; it waits for a transaction that is creating the same name (I3's exception). An existing row
// needs UPDATE alone, where SQL's own UPDATE ... WHERE would need SELECT too: so the rights are checked here, and
// changes are made as the table's owner, the way the server's foreign-key triggers do it.
#include "write/open_stream.hpp"

#include "tables/catalog.hpp"
#include "tables/privileges.hpp"
#include "tables/spi.hpp"
#include "tables/stream_rows.hpp"

namespace rill {

namespace {

bool find_latest(const StreamName &name, StreamRow *row) {
    const Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
    const bool found = find_stream(name.data, name.size, snapshot, row);
    UnregisterSnapshot(snapshot);
    return found;
}

bool insert_stream(const StreamName &name, const LimitValues *limits) {
    const char *source = psprintf("INSERT INTO %s (name, owner, max_age, max_chunks, max_bytes, delete_after_close)"
                                  " VALUES ($1, current_user, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                                  qualified_table("stream"));
    SqlValue values[1 + kLimits] = {{TEXTOID, PointerGetDatum(cstring_to_text_with_len(name.data, name.size))}};
    for (int i = 0; i < kLimits; ++i)
        values[1 + i] = {kLimitTypes[i], limits != nullptr ? limits->values[i] : 0,
                         limits == nullptr || limits->nulls[i]};
    static KeptPlan kept = {};
    return run_sql(source, values, 1 + kLimits, SPI_OK_INSERT, nullptr, nullptr, &kept) > 0;
}

// A stream created under the name of a deleted one continues with higher ids (I4).
void continue_ids(const StreamName &name, int64 stream_id) {
    const Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
    const int64 last = last_id_of_deleted(name.data, name.size, snapshot);
    UnregisterSnapshot(snapshot);
    if (last == 0)
        return;
    const char *source =
        psprintf("UPDATE %s SET trimmed_through = $2, begins_after = $2 WHERE stream_id OPERATOR(pg_catalog.=) $1",
                 qualified_table("stream"));
    const OwnerScope owner(tables().stream);
    (void) run_sql(source, {{INT8OID, Int64GetDatum(stream_id)}, {INT8OID, Int64GetDatum(last)}}, SPI_OK_UPDATE);
    owner.leave();
}

}  // namespace

OpenStream open_or_create(const StreamName &name, const LimitValues *limits) {
    StreamRow row;
    if (find_latest(name, &row) && may_change(row.id))
        return {row.id, row.own, false};
    // From here on the steps are the same whether or not a row is there that the caller may not touch.
    const bool created = insert_stream(name, limits);
    if (!find_latest(name, &row) || (!created && !may_change(row.id)))
        refuse_stream(name.data, name.size);
    if (created)
        continue_ids(name, row.id);
    return {row.id, row.own, created};
}

CachedStream *open_for_append(const StreamName &name) {
    AcceptInvalidationMessages();
    if (CachedStream *cached = cached_stream(name)) {
        const int64 id = cached->id;
        const bool allowed = may_change(id);
        // Looked up again: a policy's functions may have used, and emptied, the cache.
        if (CachedStream *again = allowed ? cached_stream(name) : nullptr; again != nullptr && again->id == id)
            return again;
        forget_stream(name);
    }
    (void) tables();  // watches for invalidations from here on
    const uint64 generation = rights_generation();
    const OpenStream stream = open_or_create(name, nullptr);
    return cache_stream(name, stream.id, stream.own, generation);
}

}  // namespace rill
