// See retention_schedule.hpp.
// One worker serves all databases in turn: worker slots are few. It is connected for two seconds at a time and then
// pauses, so that DROP DATABASE (which tries for five seconds, ten times a second) succeeds in between. A database is
// due when its next stream is, as the last pass reported, or one interval after the last pass if sessions have appended
// to streams with limits. Where nothing is scheduled, a pass is rare.
// A walk over all streams with limits follows what the schedule does not know of: the start of a server or of this
// process, a promotion, a wall clock that was set, and once a day whatever else there may be.
// Must survive: databases created and dropped at any time, a worker that dies or whose database was dropped, one that
// hangs, also while a new launcher starts or retention is off, one database where each pass fails, no free worker slot,
// a standby (which removes nothing), changed settings.
#include "retention/retention_schedule.hpp"

#include "base/monotonic_clock.hpp"
#include "base/settings.hpp"
#include "retention/retention_worker.hpp"
#include "shmem/database_slot.hpp"
#include "shmem/launcher_state.hpp"
#include "wake/process.hpp"

namespace rill {

namespace {

constexpr int64 kBreather = 200;          // ms, where a pass has left work
constexpr int64 kLeastPause = 500;        // ms, otherwise
constexpr int64 kIdleIntervals = 10;      // intervals between passes where nothing is scheduled
constexpr int64 kMinIdlePause = 10 * 60;  // s, the minimum
constexpr int64 kWalkEvery = 24 * 3600;   // s
constexpr int64 kLongestProcess = 15;     // s
constexpr int kPromotionCheck = 10;       // s
constexpr int64 kClockStep = USECS_PER_SEC;

struct DatabaseEntry {
    Oid database;
    int64 due;  // this and the other times are of the monotonic clock
    int64 visited_at;
    int64 walked_at;
    PassPosition position;
    core::Failures failures;
    uint32 failed;  // passes in a row that failed as a whole
    bool walk;      // the next pass begins a walk
    bool listed;    // while the list is refreshed
};

struct {
    DatabaseEntry *entries;
    int count;
    int room;
    int64 listed_at;
    BackgroundWorkerHandle *worker;
    int64 started_at;
    int interval;  // the settings that the due times were computed with
    int forget_after;
    int64 clock_offset;  // wall clock minus monotonic clock
    bool start_failed;   // and that has been logged
} schedule = {nullptr, 0, 0, 0, nullptr, 0, 0, 0, 0, false};

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

void add_entry(Oid database, int64 due, int64 visited_at) {
    if (schedule.count == schedule.room) {
        schedule.room = Max(16, schedule.room * 2);
        const Size size = sizeof(DatabaseEntry) * static_cast<Size>(schedule.room);
        schedule.entries =
            static_cast<DatabaseEntry *>(schedule.entries == nullptr ? MemoryContextAlloc(TopMemoryContext, size)
                                                                     : repalloc(schedule.entries, size));
    }
    // What sessions did before this process, or this server, started is not known: a walk.
    schedule.entries[schedule.count++] = {database, due, visited_at, 0, kPassStart, {}, 0, true, true};
}

int64 after_interval(int64 now) { return milliseconds_after(now, retention_interval * 1000L); }

// The databases that can be connected to. They are due after one interval; those made since the start, at once if a
// session requests it.
void refresh_databases(int64 now) {
    const int64 visited_at = schedule.count == 0 ? now : now - retention_interval * USECS_PER_SEC;
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
            add_entry(row->oid, after_interval(now), visited_at);
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

// A wall clock that was set changes what is due: schedules are computed again.
void watch_clock(int64 now) {
    const int64 offset = GetCurrentTimestamp() - now;
    const int64 step = offset - schedule.clock_offset;
    const bool first = schedule.clock_offset == 0;
    schedule.clock_offset = offset;
    if (first || (step < kClockStep && step > -kClockStep))
        return;
    for (int i = 0; i < schedule.count; ++i) {
        schedule.entries[i].walk = true;
        schedule.entries[i].due = now;
    }
}

// Sessions have appended to streams with limits, set limits, or deleted a stream: their databases get a pass one
// interval after the last one. The flag stays set until the pass begins, so that they wake this process once.
// Returns whether one is of a database that is not in the list.
bool apply_requests(int64 now) {
    bool unknown = false;
    for (int i = 0; i < max_databases; ++i) {
        DatabaseSlot *slot = &database_slots[i];
        if (pg_atomic_read_u32(&slot->retention_wanted) == 0)
            continue;
        DatabaseEntry *entry = find_entry(database_of(slot));
        unknown = unknown || entry == nullptr;
        if (entry != nullptr && entry->failed == 0)
            entry->due = Min(entry->due, Max(now, after_interval(entry->visited_at)));
    }
    return unknown;
}

DatabaseSlot *slot_of(Oid database) {
    for (int i = 0; i < max_databases; ++i)
        if (database_of(&database_slots[i]) == database)
            return &database_slots[i];
    return nullptr;
}

int64 idle_pause() { return Max(retention_interval * kIdleIntervals, kMinIdlePause) * USECS_PER_SEC; }

int64 pause_after(const RetentionPass &pass, DatabaseEntry *entry) {
    const int64 interval = retention_interval * USECS_PER_SEC;
    entry->failed = pass.result == PassResult::failed ? entry->failed + 1 : 0;
    switch (pass.result) {
    case PassResult::unfinished:
        return kBreather * 1000;
    case PassResult::not_installed:
        return idle_pause();
    case PassResult::finished:
        return Min(Max(pass.next_in, kLeastPause * 1000), idle_pause());
    case PassResult::failed:
        return core::Failures::pause_after(entry->failed, interval);
    default:
        return interval;
    }
}

// The worker has ended: what it reported decides when its database is due again, and where the next pass begins.
void finish_pass(int64 now) {
    SpinLockAcquire(&launcher_state->mutex);
    const RetentionPass pass = launcher_state->retention_pass;
    SpinLockRelease(&launcher_state->mutex);
    pfree(schedule.worker);
    schedule.worker = nullptr;
    if (pass.took_queue)
        queue_walk(slot_of(pass.database), Walk::appended);
    DatabaseEntry *entry = find_entry(pass.database);
    if (entry == nullptr)
        return;
    entry->position = pass.position;
    entry->failures = pass.failures;
    // A process that ended at a stream is the stream's failure, not the database's.
    const bool at_stream = pass.result == PassResult::failed && pass.stream != 0;
    if (at_stream)
        (void) entry->failures.note(pass.stream, now, retention_interval * USECS_PER_SEC);
    entry->visited_at = now;
    entry->due = now + (at_stream ? kLeastPause * 1000 : pause_after(pass, entry));
}

// Whoever owns a database can hold a lock on it, by renaming it and staying in the transaction. A worker that connects
// waits for it, and cannot be told not to. So it is started only while that lock is free.
bool is_open(Oid database) {
    LOCKTAG tag;
    SET_LOCKTAG_OBJECT(tag, InvalidOid, DatabaseRelationId, database, 0);
    StartTransactionCommand();
    const bool open = LockAcquire(&tag, RowExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
    CommitTransactionCommand();
    return open;
}

void start_pass(DatabaseEntry *entry, int64 now) {
    if (entry->walk || now - entry->walked_at > kWalkEvery * USECS_PER_SEC) {
        entry->position.walk = Walk::all;
        entry->position.walked_through = kPassStart.walked_through;
        entry->walked_at = now;
        entry->walk = false;
    }
    if (DatabaseSlot *slot = slot_of(entry->database))
        pg_atomic_write_u32(&slot->retention_wanted, 0);
    SpinLockAcquire(&launcher_state->mutex);
    launcher_state->retention_pass = {entry->database, entry->position, PassResult::failed, 0, false, 0,
                                      entry->failures};
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
        schedule.started_at = now;
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

// A pass lasts two seconds and one transaction. One that takes longer waits for something that no timeout ends, in a
// function of the owner's or while it connects. Other databases must not wait for it.
bool still_running(int64 now) {
    pid_t pid;
    if (GetBackgroundWorkerPid(schedule.worker, &pid) == BGWH_STOPPED)
        return false;
    if (now - schedule.started_at > kLongestProcess * USECS_PER_SEC)
        TerminateBackgroundWorker(schedule.worker);
    return true;
}

}  // namespace

long run_retention_schedule() {
    const int64 now = monotonic_now();
    // Even if retention has been turned off meanwhile: a worker that hangs is ended by nobody else.
    if (schedule.worker != nullptr) {
        if (still_running(now))
            return 1000;  // its end sets our latch; this is for a signal that was lost
        finish_pass(now);
    } else if (const int pid = retention_worker_pid(); pid != 0) {
        (void) kill(pid, SIGTERM);  // started by a launcher that has died since: it may hang, and reports to nobody
        return 1000;
    }
    if (retention_interval == 0)
        return -1;
    if (RecoveryInProgress())
        return Min(retention_interval, kPromotionCheck) * 1000L;  // nothing else tells of a promotion
    watch_clock(now);
    if (schedule.interval != retention_interval || schedule.forget_after != forget_deleted_after)
        for (int i = 0; i < schedule.count; ++i)
            schedule.entries[i].due = Min(schedule.entries[i].due, after_interval(now));
    schedule.interval = retention_interval;
    schedule.forget_after = forget_deleted_after;
    if (schedule.count == 0 || after_interval(schedule.listed_at) <= now)
        refresh_databases(now);
    // A database may be new. One that has been dropped stays unknown, and may not be asked for more than once a second.
    if (apply_requests(now) && now - schedule.listed_at > USECS_PER_SEC) {
        refresh_databases(now);
        (void) apply_requests(now);
    }
    DatabaseEntry *next = next_due();
    for (; next != nullptr && next->due <= now; next = next_due()) {
        if (is_open(next->database)) {
            start_pass(next, now);
            return 1000;
        }
        next->due = after_interval(now);
    }
    const int64 refresh_at = after_interval(schedule.listed_at);
    return milliseconds_until(now, next != nullptr ? Min(next->due, refresh_at) : refresh_at);
}

}  // namespace rill
