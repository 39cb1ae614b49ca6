// See retention_schedule.hpp.
// One worker at a time goes from database to database: retention is never urgent, and worker slots are few. It is
// connected for seconds at the most, and away for longer, so that DROP DATABASE (which tries for five seconds) gets in
// between. A database where nothing could ever be removed is looked at rarely, until a session there says otherwise.
// Must survive: databases created and dropped at any time, a worker that dies or finds its database gone, no free
// worker slot, a promotion (a standby removes nothing), a change of the settings.
#include "retention/retention_schedule.hpp"

#include "shmem/database_slot.hpp"
#include "base/settings.hpp"
#include "wake/process.hpp"

namespace rill {

namespace {

constexpr long kBreather = 500;           // ms between two visits to a database that has more to do
constexpr int64 kRareVisits = 10;         // intervals between looks where there was nothing
constexpr int64 kRarestVisits = 10 * 60;  // s, the least of that

struct Plan {
    Oid database;
    TimestampTz due;
    VisitPosition position;
    bool listed;  // for refreshing the list
};

struct {
    Plan *plans;
    int count;
    int room;
    TimestampTz listed_at;
    BackgroundWorkerHandle *worker;
    int interval;  // the setting that the plans were made for
    bool complained;
} visits = {nullptr, 0, 0, 0, nullptr, 0, false};

Plan *plan_of(Oid database) {
    for (int i = 0; i < visits.count; ++i)
        if (visits.plans[i].database == database)
            return &visits.plans[i];
    return nullptr;
}

void add_plan(Oid database, TimestampTz due) {
    if (visits.count == visits.room) {
        visits.room = Max(16, visits.room * 2);
        const Size size = sizeof(Plan) * static_cast<Size>(visits.room);
        visits.plans = static_cast<Plan *>(visits.plans == nullptr ? MemoryContextAlloc(TopMemoryContext, size)
                                                                   : repalloc(visits.plans, size));
    }
    visits.plans[visits.count++] = {database, due, {}, true};
}

// The databases that can be connected to; new ones are due after one interval.
void refresh_list(TimestampTz now) {
    for (int i = 0; i < visits.count; ++i)
        visits.plans[i].listed = false;
    StartTransactionCommand();
    (void) GetTransactionSnapshot();
    const Relation rel = table_open(DatabaseRelationId, AccessShareLock);
    const TableScanDesc scan = table_beginscan_catalog(rel, 0, nullptr);
    for (HeapTuple tuple; HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection));) {
        const auto *row = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple));
        if (!row->datallowconn || row->datconnlimit < -1)  // -2: a DROP that was interrupted
            continue;
        if (Plan *plan = plan_of(row->oid))
            plan->listed = true;
        else
            add_plan(row->oid, TimestampTzPlusMilliseconds(now, retention_interval * 1000L));
    }
    table_endscan(scan);
    table_close(rel, AccessShareLock);
    CommitTransactionCommand();
    int kept = 0;
    for (int i = 0; i < visits.count; ++i)
        if (visits.plans[i].listed)
            visits.plans[kept++] = visits.plans[i];
    visits.count = kept;
    visits.listed_at = now;
}

// Sessions whose database is looked at rarely have set limits or deleted a stream.
void hear_sessions(TimestampTz now) {
    for (int i = 0; i < shared->slots; ++i) {
        DatabaseSlot *slot = &database_slots[i];
        if (pg_atomic_read_u32(&slot->retention_wanted) == 0 || pg_atomic_exchange_u32(&slot->retention_wanted, 0) == 0)
            continue;
        SpinLockAcquire(&slot->mutex);
        const Oid database = slot->database;
        SpinLockRelease(&slot->mutex);
        if (Plan *plan = plan_of(database))
            plan->due = Min(plan->due, TimestampTzPlusMilliseconds(now, retention_interval * 1000L));
    }
}

// What the worker left behind when it ended.
void note_outcome(TimestampTz now) {
    SpinLockAcquire(&shared->launcher_mutex);
    const RetentionVisit visit = shared->visit;
    SpinLockRelease(&shared->launcher_mutex);
    pfree(visits.worker);
    visits.worker = nullptr;
    Plan *plan = plan_of(visit.database);
    if (plan == nullptr)
        return;
    const int64 interval = retention_interval;
    int64 pause = interval * 1000;
    plan->position = visit.position;
    switch (visit.outcome) {
    case VisitOutcome::more:
        pause = kBreather;
        break;
    case VisitOutcome::nothing:
        pause = Max(interval * kRareVisits, kRarestVisits) * 1000;
        plan->position = {};
        break;
    case VisitOutcome::done:
        plan->position = {};
        break;
    case VisitOutcome::failed:
        break;  // the stream that it failed at is passed over
    }
    plan->due = TimestampTzPlusMilliseconds(now, pause);
}

void start_visit(Plan *plan, TimestampTz now) {
    SpinLockAcquire(&shared->launcher_mutex);
    shared->visit = {plan->database, plan->position, VisitOutcome::failed};
    SpinLockRelease(&shared->launcher_mutex);
    BackgroundWorker worker = describe_process("pg_rill_retention_main", kRetentionType);
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = BGW_NEVER_RESTART;
    worker.bgw_main_arg = ObjectIdGetDatum(plan->database);
    worker.bgw_notify_pid = MyProcPid;
    snprintf(worker.bgw_name, sizeof(worker.bgw_name), "%s for database %u", kRetentionType, plan->database);
    plan->due = TimestampTzPlusMilliseconds(now, retention_interval * 1000L);
    if (RegisterDynamicBackgroundWorker(&worker, &visits.worker)) {
        visits.complained = false;
        return;
    }
    visits.worker = nullptr;
    if (!visits.complained)
        ereport(LOG,
                (errmsg("pg_rill could not start its retention worker for database %u: no free background worker",
                        plan->database),
                 errhint("Increase \"max_worker_processes\"; until then nothing is trimmed or deleted by retention.")));
    visits.complained = true;
}

}  // namespace

long attend_visits() {
    if (retention_interval == 0 || RecoveryInProgress())
        return -1;
    const TimestampTz now = GetCurrentTimestamp();
    if (visits.worker != nullptr) {
        pid_t pid;
        if (GetBackgroundWorkerPid(visits.worker, &pid) != BGWH_STOPPED)
            return 1000;  // its end sets our latch; this is for a signal that was lost
        note_outcome(now);
    }
    if (visits.interval != retention_interval)
        visits.count = 0;
    visits.interval = retention_interval;
    if (visits.count == 0 || visits.listed_at + retention_interval * USECS_PER_SEC <= now)
        refresh_list(now);
    hear_sessions(now);
    Plan *next = nullptr;
    for (int i = 0; i < visits.count; ++i)
        if (next == nullptr || visits.plans[i].due < next->due)
            next = &visits.plans[i];
    if (next != nullptr && next->due <= now) {
        start_visit(next, now);
        return 1000;
    }
    const TimestampTz relist = visits.listed_at + retention_interval * USECS_PER_SEC;
    return TimestampDifferenceMilliseconds(now, next != nullptr ? Min(next->due, relist) : relist) + 1;
}

}  // namespace rill
