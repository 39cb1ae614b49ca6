// The retention worker: visits one database for seconds at the most, removes in small transactions of its own what
// streams keep no longer, and says what it found. See retention.cpp for what a batch does, retention_schedule.cpp for when.
// It runs as the bootstrap superuser and touches the extension's own tables alone, with search_path pinned.
// Must survive: no extension in the database, DROP EXTENSION at any moment (tables are locked only if that can be had
// at once), rows locked by sessions (passed over), an error at one stream (the next visit begins after it), SIGTERM.
#include "base/boundary.hpp"
#include "tables/catalog.hpp"
#include "shmem/database_slot.hpp"
#include "tables/spi.hpp"
#include "base/pg_compat.hpp"
#include "retention/retention.hpp"
#include "base/settings.hpp"
#include "retention/retention_schedule.hpp"

namespace rill {

namespace {

constexpr long kLongestVisit = 2000;  // ms
constexpr int kListed = 100;          // streams looked up at a time

MemoryContext list_context = nullptr;
TimestampTz leave_at = 0;
bool installed = false;  // begin() found the extension

// Where this visit stands: moves before a stream is looked at, so that one that fails is passed over next time.
void report(const VisitPosition &position, VisitOutcome outcome) {
    SpinLockAcquire(&shared->launcher_mutex);
    if (shared->visit.database == MyDatabaseId) {  // a new launcher may have begun another visit
        shared->visit.position = position;
        shared->visit.outcome = outcome;
    }
    SpinLockRelease(&shared->launcher_mutex);
}

// Begins a transaction with the extension's tables locked; false, with no transaction, when they are not there or
// somebody has locked them.
bool begin() {
    CHECK_FOR_INTERRUPTS();
    SetCurrentStatementStartTimestamp();
    StartTransactionCommand();
    PushActiveSnapshot(GetTransactionSnapshot());
    installed = OidIsValid(get_extension_oid("pg_rill", true));
    if (installed) {
        const Tables found = tables();
        bool locked = true;
        for (const Oid table : {found.stream, found.chunk, found.producer})
            locked = locked && ConditionalLockRelationOid(table, RowExclusiveLock);
        // It may have been dropped while we looked.
        if (locked && OidIsValid(get_extension_oid("pg_rill", true)) && tables().stream == found.stream)
            return true;
    }
    PopActiveSnapshot();
    CommitTransactionCommand();
    return false;
}

void commit() {
    PopActiveSnapshot();
    CommitTransactionCommand();
    pgstat_report_stat(false);
}

bool time_is_up() { return GetCurrentTimestamp() >= leave_at; }

void count(const Removed &removed) {
    DatabaseSlot *slot = my_database_slot();
    if (slot == nullptr)
        return;
    pg_atomic_fetch_add_u64(&slot->trimmed, removed.chunks);
    pg_atomic_fetch_add_u64(&slot->deleted, removed.streams);
}

// Runs `batch` in transactions of its own until it has no more to do; false when time is up or the tables are gone.
template <typename Batch>
bool run_batches(Batch batch) {
    for (bool more = true; more;) {
        if (time_is_up() || !begin())
            return false;
        const Removed removed = batch();
        commit();
        count(removed);
        more = removed.more;
    }
    return true;
}

// Ids of deleted streams that are not purged yet, after `after`. Returns how many.
int list_deleted(int64 after, int64 *ids) {
    int n = 0;
    (void) run_sql(psprintf("SELECT stream_id FROM %s WHERE deleted_at IS NOT NULL AND NOT purged"
                            " AND stream_id OPERATOR(pg_catalog.>) $1 ORDER BY stream_id LIMIT %d",
                            qualified_table("stream"), kListed),
                   {{INT8OID, Int64GetDatum(after)}}, SPI_OK_SELECT,
                   [&](const SqlRow &row) { ids[n++] = row.int8(1); });
    return n;
}

// Streams that have a limit, after `after`. An interval beyond what timestamps can hold is no reason to fail.
int list_limited(int64 after, Limits *list) {
    int n = 0;
    MemoryContextReset(list_context);
    (void) run_sql(
        psprintf(
            "SELECT stream_id, name, trimmed_through, counted_through, counted_chunks, counted_bytes,"
            " pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) LEAST(max_age, '5000 years'::pg_catalog.interval),"
            " pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) LEAST(delete_after_close, '5000 "
            "years'::pg_catalog.interval),"
            " max_chunks, max_bytes FROM %s WHERE deleted_at IS NULL"
            " AND (max_age IS NOT NULL OR max_chunks IS NOT NULL OR max_bytes IS NOT NULL OR delete_after_close IS NOT "
            "NULL)"
            " AND stream_id OPERATOR(pg_catalog.>) $1 ORDER BY stream_id LIMIT %d",
            qualified_table("stream"), kListed),
        {{INT8OID, Int64GetDatum(after)}}, SPI_OK_SELECT, [&](const SqlRow &row) {
            list[n++] = {row.int8(1),
                         stream_name(row.copy_text(2, list_context), "stream"),
                         row.int8(3),
                         row.int8(4),
                         row.int8(5),
                         row.int8(6),
                         row.is_null(7) ? DT_NOBEGIN : row.int8(7),
                         row.is_null(8) ? DT_NOBEGIN : row.int8(8),
                         row.is_null(9) ? PG_INT64_MAX : row.int8(9),
                         row.is_null(10) ? PG_INT64_MAX : row.int8(10)};
        });
    return n;
}

// The three phases of a round. Each goes on after *after, and returns false when time is up or the tables are gone.
bool enforce_limits(VisitPosition *position, bool *anything) {
    auto *limits = static_cast<Limits *>(MemoryContextAlloc(TopMemoryContext, sizeof(Limits) * kListed));
    for (;;) {
        if (!begin())
            return false;
        const int n = list_limited(position->after, limits);
        commit();
        if (n == 0)
            return true;
        *anything = true;
        for (int i = 0; i < n; ++i) {
            bool more = false;
            position->after = limits[i].stream_id;
            report(*position, VisitOutcome::failed);
            const bool finished = run_batches([&] {
                Removed removed = enforce_retention(limits[i]);
                more = std::exchange(removed.more, false);  // its row has to be read again first
                return removed;
            });
            if (finished && !more)
                continue;
            --position->after;  // again: its row has changed, or it has not been looked at
            if (!finished)
                return false;
            break;
        }
    }
}

bool purge_streams(VisitPosition *position, bool *anything) {
    int64 deleted[kListed];
    for (;;) {
        if (!begin())
            return false;
        const int n = list_deleted(position->after, deleted);
        commit();
        if (n == 0)
            return true;
        *anything = true;
        for (int i = 0; i < n; ++i) {
            position->after = deleted[i];
            report(*position, VisitOutcome::failed);
            if (!run_batches([id = deleted[i]] { return purge_deleted(id); })) {
                --position->after;
                return false;
            }
        }
    }
}

bool forget_streams() {
    return run_batches([] { return Removed{0, 0, forget_tombstones(forget_deleted_after) >= kRetentionBatch}; });
}

void visit() {
    SpinLockAcquire(&shared->launcher_mutex);
    VisitPosition position = shared->visit.position;
    SpinLockRelease(&shared->launcher_mutex);
    leave_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), kLongestVisit);
    bool anything = position.phase != VisitPhase::limits || position.after > 0;

    if (!begin()) {
        // Tables that somebody has locked are looked at again after the usual interval.
        report(position, installed ? VisitOutcome::failed : VisitOutcome::nothing);
        return;
    }
    if (DatabaseSlot *slot = attach_database_slot())
        pg_atomic_write_u64(&slot->retention_at, static_cast<uint64>(GetCurrentTimestamp()));
    commit();

    bool finished = true;
    if (position.phase == VisitPhase::limits) {
        finished = enforce_limits(&position, &anything);
        if (finished)
            position = {VisitPhase::purge, 0};
    }
    if (finished && position.phase == VisitPhase::purge) {
        finished = purge_streams(&position, &anything);
        if (finished)
            position = {VisitPhase::forget, 0};
    }
    if (finished) {
        report({}, VisitOutcome::failed);  // an error in here ends the round, and the next one begins anew
        finished = forget_streams();
    }
    report(finished ? VisitPosition{} : position, !finished  ? VisitOutcome::more
                                                  : anything ? VisitOutcome::done
                                                             : VisitOutcome::nothing);
}

}  // namespace

}  // namespace rill

void pg_rill_retention_main(Datum arg) {
    using namespace rill;
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    pqsignal(SIGTERM, die);
    BackgroundWorkerUnblockSignals();
    BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(arg), InvalidOid, 0);
    SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_SUSET, PGC_S_OVERRIDE);
    SetConfigOption("synchronous_commit", "off", PGC_BACKEND,
                    PGC_S_OVERRIDE);  // what a crash takes back is removed again
    pgstat_report_appname(kRetentionType);
    pgstat_report_activity(STATE_RUNNING, "removing what streams keep no longer");
    list_context = AllocSetContextCreate(TopMemoryContext, "pg_rill limits", ALLOCSET_DEFAULT_SIZES);
    visit();
}
