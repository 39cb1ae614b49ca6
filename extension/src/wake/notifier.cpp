// The worker of one database: turns the queue of touched streams into NOTIFYs, in transactions
// of its own, so that no writer ever takes the server-wide NOTIFY lock.
// It is there only while a session of the database listens, so it never holds up DROP, RENAME
// or CREATE ... TEMPLATE of a database that those sessions do not hold up anyway; the last
// listener that goes wakes it, and it leaves at once. It touches no table.
// A NOTIFY-only transaction writes no WAL before its commit record, so its commit is
// asynchronous by itself (RecordTransactionCommit); setting synchronous_commit says it again.
// Must survive: SIGTERM, SIGHUP, errors while notifying (a full NOTIFY queue: it exits, is started
// again after a backoff, and then tells everybody to look), a dropped database.
#include "wake/notifier.hpp"

#include "base/boundary.hpp"
#include "core/payload.hpp"
#include "shmem/database_slot.hpp"
#include "wake/listen.hpp"
#include "base/pg_compat.hpp"
#include "shmem/wait_list.hpp"

#include <algorithm>

namespace rill {

namespace {

constexpr int kMostTaken = 4096;  // ids turned into NOTIFYs in one transaction

extern "C" void rill_worker_gone(int, Datum arg) {
    DatabaseSlot *slot = &database_slots[DatumGetInt32(arg)];
    SpinLockAcquire(&slot->mutex);
    if (slot->worker_pid == MyProcPid) {
        slot->worker_state = WorkerState::absent;
        slot->worker_pid = 0;
        slot->worker_proc = -1;
        slot->worker_asleep = false;
    }
    SpinLockRelease(&slot->mutex);
    wake_launcher();
}

// Takes the place of the slot's worker; false when another one has it.
bool take_place(int index) {
    DatabaseSlot *slot = &database_slots[index];
    SpinLockAcquire(&slot->mutex);
    // The slot may have gone to another database: a launcher that started while we did takes us for lost.
    const bool mine = slot->worker_state != WorkerState::running && slot->database == MyDatabaseId;
    if (mine) {
        slot->worker_state = WorkerState::running;
        slot->worker_pid = MyProcPid;
        slot->worker_proc = my_proc_number();
        slot->worker_asleep = false;
    }
    SpinLockRelease(&slot->mutex);
    if (mine) {
        slot->worker_started_at = GetCurrentTimestamp();
        before_shmem_exit(rill_worker_gone, Int32GetDatum(index));
    }
    return mine;
}

// Takes what is queued; false when there is nothing, and then this process counts as asleep.
bool take(DatabaseSlot *slot, int64 *ids, int *count, bool *everything) {
    SpinLockAcquire(&slot->mutex);
    *count = static_cast<int>(slot->ring.take(ring_of(slot), ids, kMostTaken, everything));
    const bool any = *everything || *count > 0;
    slot->worker_asleep = !any;
    SpinLockRelease(&slot->mutex);
    return any;
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
        const size_t distinct = static_cast<size_t>(std::unique(ids, ids + count) - ids);
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

// A NOTIFY costs the worker a transaction, and each listening session and its client a wake-up. So the faster streams
// move, the longer ids are left in the queue to share one: half a millisecond for each id in a millisecond, so that
// NOTIFYs take a few hundredths of a processor at the most. A slow stream is told of at once.
constexpr double kFastIds = 2.0;        // a millisecond
constexpr double kLongestPause = 10.0;  // ms

class Pace {
public:
    explicit Pace(DatabaseSlot *slot) : slot_(slot), offered_(offered()), since_(GetCurrentTimestamp()) {}

    // To be called after a send: how many ms to leave ids in the queue.
    long pause() {
        const int64 now_offered = offered();
        const TimestampTz now = GetCurrentTimestamp();
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
    TimestampTz since_;
};

void work(int index) {
    DatabaseSlot *slot = &database_slots[index];
    int64 ids[kMostTaken];
    int count = 0;
    bool everything = true;  // what happened while no worker was there
    (void) wake_database(MyDatabaseId);
    const uint32 event = wait_event("PgRillNotifierMain");
    Pace pace(slot);
    for (bool any = true;; any = take(slot, ids, &count, &everything)) {
        if (pg_atomic_read_u32(&slot->listeners) == 0) {
            SpinLockAcquire(&slot->mutex);
            slot->worker_left = true;
            SpinLockRelease(&slot->mutex);
            return;
        }
        long pause = -1;
        if (any) {
            pgstat_report_activity(STATE_RUNNING, "waking listeners");
            send(slot, ids, count, everything);
            pgstat_report_stat(false);
            pgstat_report_activity(STATE_IDLE, nullptr);
            pause = pace.pause();
        }
        // During a pause this process does not count as asleep: nobody sets its latch for more of the same.
        if (pause != 0) {
            (void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (pause > 0 ? WL_TIMEOUT : 0), pause, event);
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
    DatabaseSlot *slot = &database_slots[index];
    SpinLockAcquire(&slot->mutex);
    const Oid database = slot->database;
    SpinLockRelease(&slot->mutex);
    if (!OidIsValid(database))
        return;
    BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
    SetConfigOption("synchronous_commit", "off", PGC_BACKEND, PGC_S_OVERRIDE);
    pgstat_report_appname("pg_rill notifier");
    if (take_place(index))
        work(index);
}
