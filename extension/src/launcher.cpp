// The launcher: one process for the server, connected to no database. It starts a worker for
// each database that has a listening session, and again when one dies; sends the retention worker
// round the databases (retention_schedule.cpp); and on a standby wakes waiters as replay goes on (standby_wake.cpp).
// Must survive: workers that die or cannot start (backoff doubles up to a minute and is forgotten
// after a healthy minute; one log line a streak), listeners that come and go by the second, no free
// worker slot, databases dropped while a worker starts, its own death (workers go on; the next launcher
// finds their state in shared memory), and a standby (nobody can listen there: there is nothing to start).
#include "launcher.hpp"

#include "base/boundary.hpp"
#include "shmem/database_slot.hpp"
#include "base/pg_compat.hpp"
#include "retention/retention_schedule.hpp"
#include "wake/notifier.hpp"
#include "wake/process.hpp"
#include "wake/standby_wake.hpp"

namespace rill {

namespace {

constexpr long kIdleSleep = 60 * 1000;  // ms; it is woken when there is something to do
constexpr long kCheckStarting = 1000;   // ms between looks at workers that do not run yet
constexpr int kFirstBackoff = 500;      // ms
constexpr int kLongestBackoff = 60 * 1000;

// The launcher's own notes on each slot, in its memory.
struct Charge {
    BackgroundWorkerHandle *handle;
    TimestampTz not_before;
    int backoff;
    bool complained;
};

extern "C" void rill_launcher_gone(int, Datum) {
    SpinLockAcquire(&shared->launcher_mutex);
    if (shared->launcher_pid == MyProcPid) {
        shared->launcher_pid = 0;
        shared->launcher_proc = -1;
    }
    SpinLockRelease(&shared->launcher_mutex);
}

WorkerState read_state(DatabaseSlot *slot, Oid *database, bool *left = nullptr) {
    SpinLockAcquire(&slot->mutex);
    const WorkerState state = slot->worker_state;
    *database = slot->database;
    if (left != nullptr)
        *left = slot->worker_left;
    SpinLockRelease(&slot->mutex);
    return state;
}

void set_state(DatabaseSlot *slot, WorkerState state) {
    SpinLockAcquire(&slot->mutex);
    slot->worker_state = state;
    if (state == WorkerState::starting)
        slot->worker_left = false;
    SpinLockRelease(&slot->mutex);
}

void back_off(Charge *charge) {
    charge->backoff = charge->backoff == 0 ? kFirstBackoff : Min(charge->backoff * 2, kLongestBackoff);
    charge->not_before = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), charge->backoff);
}

bool start_worker(int index, Charge *charge, Oid database) {
    DatabaseSlot *slot = &database_slots[index];
    BackgroundWorker worker = describe_process("pg_rill_notifier_main", kNotifierType);
    worker.bgw_start_time = BgWorkerStart_ConsistentState;
    worker.bgw_restart_time = BGW_NEVER_RESTART;  // this process restarts it, with a backoff
    worker.bgw_main_arg = Int32GetDatum(index);
    worker.bgw_notify_pid = MyProcPid;
    snprintf(worker.bgw_name, sizeof(worker.bgw_name), "%s for database %u", kNotifierType, database);
    set_state(slot, WorkerState::starting);
    if (RegisterDynamicBackgroundWorker(&worker, &charge->handle))
        return true;
    set_state(slot, WorkerState::absent);
    if (!charge->complained)
        ereport(LOG, (errmsg("pg_rill could not start its worker for database %u: no free background worker", database),
                      errhint("Increase \"max_worker_processes\"; until then readers find new chunks by polling.")));
    charge->complained = true;
    return false;
}

// Looks after one slot; returns in how many ms it wants to be looked at again.
long attend(int index, Charge *charge) {
    DatabaseSlot *slot = &database_slots[index];
    Oid database;
    bool left;
    WorkerState state = read_state(slot, &database, &left);
    const TimestampTz now = GetCurrentTimestamp();
    if (state == WorkerState::starting && charge->handle != nullptr) {
        pid_t pid;
        const BgwHandleStatus status = GetBackgroundWorkerPid(charge->handle, &pid);
        if (status == BGWH_STOPPED && read_state(slot, &database) == WorkerState::starting)
            set_state(slot, state = WorkerState::absent);  // it died before it could say so
        else
            return kCheckStarting;
    }
    if (state == WorkerState::running) {
        if (slot->worker_started_at < TimestampTzPlusMilliseconds(now, -kLongestBackoff)) {
            charge->backoff = 0;
            charge->complained = false;
        }
        return kIdleSleep;
    }
    if (charge->handle != nullptr) {
        pfree(charge->handle);
        charge->handle = nullptr;
    }
    if (!OidIsValid(database) || pg_atomic_read_u32(&slot->listeners) == 0 || RecoveryInProgress())
        return kIdleSleep;
    // One that left since nobody listened did not fail: who listens next must not wait for that.
    if (left)
        charge->backoff = 0;
    else if (now < charge->not_before)
        return TimestampDifferenceMilliseconds(now, charge->not_before) + 1;
    const bool started = start_worker(index, charge, database);
    back_off(charge);
    return started ? kCheckStarting : charge->backoff;
}

}  // namespace

void register_launcher() {
    BackgroundWorker worker = describe_process("pg_rill_launcher_main", kLauncherType);
    worker.bgw_start_time = BgWorkerStart_ConsistentState;
    worker.bgw_restart_time = 1;
    RegisterBackgroundWorker(&worker);
}

}  // namespace rill

void pg_rill_launcher_main(Datum) {
    using namespace rill;
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    pqsignal(SIGTERM, die);
    BackgroundWorkerUnblockSignals();
    BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);

    SpinLockAcquire(&shared->launcher_mutex);
    shared->launcher_pid = MyProcPid;
    shared->launcher_proc = my_proc_number();
    SpinLockRelease(&shared->launcher_mutex);
    before_shmem_exit(rill_launcher_gone, 0);

    MemoryContextSwitchTo(TopMemoryContext);
    auto *charges = static_cast<Charge *>(palloc0(sizeof(Charge) * static_cast<Size>(shared->slots)));
    // A worker that an earlier launcher was starting either runs by now or is not known to anybody.
    for (int i = 0; i < shared->slots; ++i) {
        Oid database;
        if (read_state(&database_slots[i], &database) == WorkerState::starting)
            set_state(&database_slots[i], WorkerState::absent);
    }
    const uint32 event = wait_event("PgRillLauncherMain");
    for (;;) {
        long sleep = kIdleSleep;
        for (int i = 0; i < shared->slots; ++i)
            sleep = Min(sleep, attend(i, &charges[i]));
        for (const long wish : {run_retention_schedule(), watch_replay()})
            if (wish >= 0)
                sleep = Min(sleep, wish);
        (void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, Max(sleep, 1), event);
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
        if (ConfigReloadPending) {
            ConfigReloadPending = false;
            ProcessConfigFile(PGC_SIGHUP);
        }
    }
}
