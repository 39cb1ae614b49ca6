// The notifier of one database: turns the queue of changed streams into NOTIFYs, in transactions of its own, so that no
// writer ever takes the server-wide NOTIFY lock.
// It runs only while a session of the database listens, so it never holds up DROP, RENAME or CREATE ... TEMPLATE of a
// database that those sessions do not hold up anyway. The last listener to leave wakes it, and it exits at once. It
// accesses no table.
// A NOTIFY-only transaction writes no WAL before its commit record, so its commit is asynchronous in any case
// (RecordTransactionCommit); synchronous_commit = off makes this explicit.
// Must survive: SIGTERM, SIGHUP, errors while notifying (a full NOTIFY queue: it exits, is restarted after a backoff,
// and then has listeners check every stream), a dropped database, and settings of the database.
#include "wake/notifier.hpp"

#include "base/boundary.hpp"
#include "base/monotonic_clock.hpp"
#include "base/pg_compat.hpp"
#include "core/payload.hpp"
#include "shmem/database_slot.hpp"
#include "shmem/launcher_state.hpp"
#include "shmem/wait_list.hpp"
#include "wake/listen.hpp"
#include "wake/process.hpp"

#include <algorithm>

namespace rill {

namespace {

constexpr int kMaxIds = 4096;  // turned into NOTIFYs in one transaction

extern "C" void rill_notifier_exit(int, Datum index) {
    DatabaseSlot *slot = &database_slots[DatumGetInt32(index)];
    SpinLockAcquire(&slot->mutex);
    if (slot->notifier_pid == MyProcPid) {
        slot->notifier_state = NotifierState::absent;
        slot->notifier_pid = 0;
        slot->notifier_proc = -1;
        slot->notifier_asleep = false;
    }
    SpinLockRelease(&slot->mutex);
    wake_launcher();
}

// Becomes the slot's notifier; false when another process already is.
bool become_notifier(int index) {
    DatabaseSlot *slot = &database_slots[index];
    const TimestampTz now = GetCurrentTimestamp();
    SpinLockAcquire(&slot->mutex);
    // The slot may belong to another database by now: a launcher that started in the meantime does not know about us.
    const bool mine = slot->notifier_state != NotifierState::running && slot->database == MyDatabaseId;
    if (mine) {
        slot->notifier_state = NotifierState::running;
        slot->notifier_pid = MyProcPid;
        slot->notifier_proc = my_proc_number();
        slot->notifier_asleep = false;
        slot->notifier_started_at = now;
    }
    SpinLockRelease(&slot->mutex);
    if (mine)
        before_shmem_exit(rill_notifier_exit, Int32GetDatum(index));
    return mine;
}

void send(DatabaseSlot *slot, int64 *ids, int count, bool everything) {
    SetCurrentStatementStartTimestamp();
    StartTransactionCommand();
    int payloads = 0;
    if (everything) {
        Async_Notify(kChannel, core::kEverything);
        ++payloads;
    } else {
        std::sort(ids, ids + count);
        const auto distinct = static_cast<size_t>(std::unique(ids, ids + count) - ids);
        char payload[core::kPayloadBuffer];
        for (size_t done = 0; done < distinct; ++payloads) {
            done = core::format_payload(ids, done, distinct, payload, sizeof(payload));
            Async_Notify(kChannel, payload);
        }
        pg_atomic_fetch_add_u64(&slot->coalesced, static_cast<int64>(count) - static_cast<int64>(distinct));
    }
    CommitTransactionCommand();
    pg_atomic_fetch_add_u64(&slot->notifies, payloads);
}

// A NOTIFY costs the notifier a transaction, and each listening session and its client a wake-up. So the faster streams
// change, the longer ids stay in the queue to share one NOTIFY: half a millisecond for each id that arrives in a
// millisecond. NOTIFYs then take at most a few percent of a CPU. A change of a slow stream is sent at once.
constexpr double kFastIds = 2.0;        // a millisecond
constexpr double kLongestPause = 10.0;  // ms

class Pacing {
public:
    explicit Pacing(DatabaseSlot *slot) : slot_(slot), offered_(offered()), since_(monotonic_now()) {}

    // Called after a send: how many ms to leave ids in the queue.
    long pause() {
        const int64 now_offered = offered();
        const int64 now = monotonic_now();
        const double ms = Max(static_cast<double>(now - since_) / 1000.0, 0.001);
        const double rate = static_cast<double>(now_offered - offered_) / ms;
        offered_ = now_offered;
        since_ = now;
        return rate > kFastIds ? static_cast<long>(Min(rate / 2, kLongestPause)) : 0;
    }

private:
    [[nodiscard]] int64 offered() const {
        return static_cast<int64>(pg_atomic_read_u64(&slot_->queued) + pg_atomic_read_u64(&slot_->coalesced));
    }
    DatabaseSlot *slot_;
    int64 offered_;
    int64 since_;
};

void run(DatabaseSlot *slot) {
    int64 ids[kMaxIds];
    int count = 0;
    bool everything = true;  // what happened while there was no notifier
    (void) wake_database(MyDatabaseId);
    Pacing pacing(slot);
    for (bool any = true;; any = take_queued(slot, ids, kMaxIds, &count, &everything)) {
        if (pg_atomic_read_u32(&slot->listeners) == 0) {
            SpinLockAcquire(&slot->mutex);
            slot->notifier_left = true;
            SpinLockRelease(&slot->mutex);
            return;
        }
        long pause = -1;
        if (any) {
            pgstat_report_activity(STATE_RUNNING, "notifying listeners");
            send(slot, ids, count, everything);
            pgstat_report_stat(false);
            pgstat_report_activity(STATE_IDLE, nullptr);
            pause = pacing.pause();
        }
        // During a pause this process does not count as asleep, so writers do not set its latch for further ids.
        if (pause != 0) {
            (void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (pause > 0 ? WL_TIMEOUT : 0), pause,
                             shared->notifier_main);
            ResetLatch(MyLatch);
        }
        CHECK_FOR_INTERRUPTS();
        if (ConfigReloadPending) {
            ConfigReloadPending = false;
            ProcessConfigFile(PGC_SIGHUP);
        }
    }
}

}  // namespace

}  // namespace rill

void pg_rill_notifier_main(Datum arg) {
    using namespace rill;
    const int index = DatumGetInt32(arg);
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    pqsignal(SIGTERM, die);
    BackgroundWorkerUnblockSignals();
    const Oid database = database_of(&database_slots[index]);
    if (!OidIsValid(database))
        return;
    BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
    pin_settings();
    pgstat_report_appname(kNotifierType);
    if (become_notifier(index))
        run(&database_slots[index]);
}
