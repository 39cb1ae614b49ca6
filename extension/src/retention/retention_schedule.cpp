// See retention_schedule.hpp.
// One worker serves all databases in turn: retention is never urgent, and worker slots are few. It is connected for a
// few seconds at most and then pauses, so that DROP DATABASE (which tries for five seconds) succeeds in between. A
// database with nothing that could ever be removed gets a pass rarely, until a session there requests one.
// Must survive: databases created and dropped at any time, a worker that dies or whose database was dropped, no free
// worker slot, a promotion (a standby removes nothing), changed settings, a wall clock that is set.
#include "retention/retention_schedule.hpp"

#include "base/monotonic_clock.hpp"
#include "base/settings.hpp"
#include "retention/retention_worker.hpp"
#include "shmem/database_slot.hpp"
#include "shmem/launcher_state.hpp"
#include "wake/process.hpp"

namespace rill {

namespace {

constexpr long kPauseBetweenPasses = 500;  // ms, where a pass has left work
constexpr int64 kIdleIntervals = 10;       // intervals between passes where there was no work
constexpr int64 kMinIdlePause = 10 * 60;   // s, the minimum

struct DatabaseEntry {
    Oid database;
    int64 due;  // this and the other times are of the monotonic clock
    PassPosition position;
    bool listed;  // while the list is refreshed
};

struct {
    DatabaseEntry *entries;
    int count;
    int room;
    int64 listed_at;
    BackgroundWorkerHandle *worker;
    int interval;       // the setting that the due times were computed with
    bool start_failed;  // and that has been logged
} schedule = {nullptr, 0, 0, 0, nullptr, 0, false};

DatabaseEntry *find_entry(Oid database) {
    for (int i = 0; i < schedule.count; ++i)
        if (schedule.entries[i].database == database)
            return &schedule.entries[i];
    return nullptr;
}

DatabaseEntry *next_due() {
    DatabaseEntry *next = nullptr;
    for (int i = 0; i < schedule.count; ++i)
        if (next == nullptr || schedule.entries[i].due < next->due)
            next = &schedule.entries[i];
    return next;
}

void add_entry(Oid database, int64 due) {
    if (schedule.count == schedule.room) {
        schedule.room = Max(16, schedule.room * 2);
        const Size size = sizeof(DatabaseEntry) * static_cast<Size>(schedule.room);
        schedule.entries =
            static_cast<DatabaseEntry *>(schedule.entries == nullptr ? MemoryContextAlloc(TopMemoryContext, size)
                                                                     : repalloc(schedule.entries, size));
    }
    schedule.entries[schedule.count++] = {database, due, {}, true};
}

int64 after_interval(int64 now) { return milliseconds_after(now, retention_interval * 1000L); }

// The databases that can be connected to; new ones are due after one interval.
void refresh_databases(int64 now) {
    for (int i = 0; i < schedule.count; ++i)
        schedule.entries[i].listed = false;
    StartTransactionCommand();
    (void) GetTransactionSnapshot();
    const Relation rel = table_open(DatabaseRelationId, AccessShareLock);
    const TableScanDesc scan = table_beginscan_catalog(rel, 0, nullptr);
    for (HeapTuple tuple; HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection));) {
        const auto *row = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple));
        if (!row->datallowconn || row->datconnlimit < -1)  // -2: a DROP that was interrupted
            continue;
        if (DatabaseEntry *entry = find_entry(row->oid))
            entry->listed = true;
        else
            add_entry(row->oid, after_interval(now));
    }
    table_endscan(scan);
    table_close(rel, AccessShareLock);
    CommitTransactionCommand();
    int kept = 0;
    for (int i = 0; i < schedule.count; ++i)
        if (schedule.entries[i].listed)
            schedule.entries[kept++] = schedule.entries[i];
    schedule.count = kept;
    schedule.listed_at = now;
}

// Sessions have set limits or deleted a stream: their databases get a pass within the interval.
void apply_requests(int64 now) {
    for (int i = 0; i < max_databases; ++i) {
        DatabaseSlot *slot = &database_slots[i];
        if (pg_atomic_read_u32(&slot->retention_wanted) == 0 || pg_atomic_exchange_u32(&slot->retention_wanted, 0) == 0)
            continue;
        if (DatabaseEntry *entry = find_entry(database_of(slot)))
            entry->due = Min(entry->due, after_interval(now));
    }
}

// The worker has ended: what it reported decides when its database is due again, and where the next pass begins.
void finish_pass(int64 now) {
    SpinLockAcquire(&launcher_state->mutex);
    const RetentionPass pass = launcher_state->retention_pass;
    SpinLockRelease(&launcher_state->mutex);
    pfree(schedule.worker);
    schedule.worker = nullptr;
    DatabaseEntry *entry = find_entry(pass.database);
    if (entry == nullptr)
        return;
    const int64 interval = retention_interval;
    int64 pause = interval * 1000;
    entry->position = pass.position;
    switch (pass.result) {
    case PassResult::unfinished:
        pause = kPauseBetweenPasses;
        break;
    case PassResult::no_work:
        pause = Max(interval * kIdleIntervals, kMinIdlePause) * 1000;
        entry->position = {};
        break;
    case PassResult::finished:
        entry->position = {};
        break;
    case PassResult::failed:
        break;  // the stream at which it failed is skipped
    }
    entry->due = milliseconds_after(now, pause);
}

void start_pass(DatabaseEntry *entry, int64 now) {
    SpinLockAcquire(&launcher_state->mutex);
    launcher_state->retention_pass = {entry->database, entry->position, PassResult::failed};
    SpinLockRelease(&launcher_state->mutex);
    BackgroundWorker worker = describe_process("pg_rill_retention_main", kRetentionType);
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = BGW_NEVER_RESTART;
    worker.bgw_main_arg = ObjectIdGetDatum(entry->database);
    worker.bgw_notify_pid = MyProcPid;
    snprintf(worker.bgw_name, sizeof(worker.bgw_name), "%s for database %u", kRetentionType, entry->database);
    entry->due = after_interval(now);
    if (RegisterDynamicBackgroundWorker(&worker, &schedule.worker)) {
        schedule.start_failed = false;
        return;
    }
    schedule.worker = nullptr;
    if (!schedule.start_failed)
        ereport(LOG,
                (errmsg("pg_rill could not start its retention worker for database %u: no free background worker slot",
                        entry->database),
                 errhint("Increase \"max_worker_processes\". Until then, retention removes nothing.")));
    schedule.start_failed = true;
}

}  // namespace

long run_retention_schedule() {
    if (retention_interval == 0 || RecoveryInProgress())
        return -1;
    const int64 now = monotonic_now();
    if (schedule.worker != nullptr) {
        pid_t pid;
        if (GetBackgroundWorkerPid(schedule.worker, &pid) != BGWH_STOPPED)
            return 1000;  // its end sets our latch; this is for a signal that was lost
        finish_pass(now);
    }
    if (schedule.interval != retention_interval)
        schedule.count = 0;
    schedule.interval = retention_interval;
    if (schedule.count == 0 || after_interval(schedule.listed_at) <= now)
        refresh_databases(now);
    apply_requests(now);
    DatabaseEntry *next = next_due();
    if (next != nullptr && next->due <= now) {
        start_pass(next, now);
        return 1000;
    }
    const int64 refresh_at = after_interval(schedule.listed_at);
    return milliseconds_until(now, next != nullptr ? Min(next->due, refresh_at) : refresh_at);
}

}  // namespace rill
