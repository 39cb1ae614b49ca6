// See notifier_supervisor.hpp; wake/README has the table of a notifier's states.
// Must survive: notifiers that die or cannot start (the backoff doubles up to a minute and is reset after a minute of
// running; one log line for each series of failures), listeners that come and go within seconds, no free worker slot,
// databases dropped while a notifier starts, the launcher's own death (notifiers continue; the next launcher finds
// their state in shared memory), and a standby (it has no LISTEN, so no notifier is started).
#include "wake/notifier_supervisor.hpp"

#include "base/monotonic_clock.hpp"
#include "base/settings.hpp"
#include "shmem/database_slot.hpp"
#include "wake/notifier.hpp"
#include "wake/process.hpp"

namespace rill {

namespace {

constexpr long kIdleSleep = 60 * 1000;  // ms; the launcher is woken earlier when there is work
constexpr long kCheckStarting = 1000;   // ms between checks of notifiers that do not run yet
constexpr int kFirstBackoff = 500;      // ms
constexpr int kLongestBackoff = 60 * 1000;

// What the launcher remembers of each slot.
struct SupervisorEntry {
    BackgroundWorkerHandle *handle;
    int64 running_since;  // when the notifier was first seen running; 0: not running
    int64 not_before;     // of the next start
    int backoff;          // ms
    bool complained;
};
SupervisorEntry *supervised = nullptr;  // [max_databases]

struct SlotView {
    Oid database;
    NotifierState state;
    bool left;
};
SlotView read_slot(DatabaseSlot *slot) {
    SpinLockAcquire(&slot->mutex);
    const SlotView view = {slot->database, slot->notifier_state, slot->notifier_left};
    SpinLockRelease(&slot->mutex);
    return view;
}

// Changes the state unless the notifier has done so itself since it was read.
bool change_state(DatabaseSlot *slot, NotifierState from, NotifierState to) {
    SpinLockAcquire(&slot->mutex);
    const bool changed = slot->notifier_state == from;
    if (changed) {
        slot->notifier_state = to;
        if (to == NotifierState::starting)
            slot->notifier_left = false;
    }
    SpinLockRelease(&slot->mutex);
    return changed;
}

bool start_notifier(int index, SupervisorEntry *entry, Oid database) {
    DatabaseSlot *slot = &database_slots[index];
    BackgroundWorker worker = describe_process("pg_rill_notifier_main", kNotifierType);
    worker.bgw_start_time = BgWorkerStart_ConsistentState;
    worker.bgw_restart_time = BGW_NEVER_RESTART;  // the launcher restarts it, with a backoff
    worker.bgw_main_arg = Int32GetDatum(index);
    worker.bgw_notify_pid = MyProcPid;
    snprintf(worker.bgw_name, sizeof(worker.bgw_name), "%s for database %u", kNotifierType, database);
    (void) change_state(slot, NotifierState::absent, NotifierState::starting);
    if (RegisterDynamicBackgroundWorker(&worker, &entry->handle))
        return true;
    (void) change_state(slot, NotifierState::starting, NotifierState::absent);
    if (!entry->complained)
        ereport(LOG,
                (errmsg("pg_rill could not start a notifier for database %u: no free background worker slot", database),
                 errhint("Increase \"max_worker_processes\". Until then, listeners in this database find new chunks by "
                         "polling.")));
    entry->complained = true;
    return false;
}

// The notifier has exited, or could not be started.
void note_end(SupervisorEntry *entry, int64 now) {
    if (entry->running_since > 0 && now >= milliseconds_after(entry->running_since, kLongestBackoff)) {
        entry->backoff = 0;
        entry->not_before = 0;
        entry->complained = false;
    }
    entry->running_since = 0;
    if (entry->handle != nullptr)
        pfree(entry->handle);
    entry->handle = nullptr;
}

// Supervises one slot; returns the ms until the next call is due.
long supervise(int index, SupervisorEntry *entry) {
    DatabaseSlot *slot = &database_slots[index];
    SlotView view = read_slot(slot);
    const int64 now = monotonic_now();
    if (view.state == NotifierState::starting && entry->handle != nullptr) {
        pid_t pid;
        if (GetBackgroundWorkerPid(entry->handle, &pid) != BGWH_STOPPED ||
            !change_state(slot, NotifierState::starting, NotifierState::absent))
            return kCheckStarting;
        view.state = NotifierState::absent;  // it died before it could report its state
    }
    if (view.state == NotifierState::running) {
        if (entry->running_since == 0)
            entry->running_since = now;
        return kIdleSleep;
    }
    note_end(entry, now);
    if (!OidIsValid(view.database) || pg_atomic_read_u32(&slot->listeners) == 0 || RecoveryInProgress())
        return kIdleSleep;
    // A notifier that exited because it had no listeners did not fail: the next listener must not wait for the backoff.
    if (view.left)
        entry->backoff = 0;
    else if (now < entry->not_before)
        return milliseconds_until(now, entry->not_before);
    const bool started = start_notifier(index, entry, view.database);
    entry->backoff = entry->backoff == 0 ? kFirstBackoff : Min(entry->backoff * 2, kLongestBackoff);
    entry->not_before = milliseconds_after(now, entry->backoff);
    return started ? kCheckStarting : entry->backoff;
}

}  // namespace

void begin_supervision() {
    supervised = static_cast<SupervisorEntry *>(palloc0(sizeof(SupervisorEntry) * static_cast<Size>(max_databases)));
    // A notifier that an earlier launcher was starting is either running by now, or no process knows about it.
    for (int i = 0; i < max_databases; ++i)
        (void) change_state(&database_slots[i], NotifierState::starting, NotifierState::absent);
}

long supervise_notifiers() {
    long sleep = kIdleSleep;
    for (int i = 0; i < max_databases; ++i)
        sleep = Min(sleep, supervise(i, &supervised[i]));
    return sleep;
}

}  // namespace rill
