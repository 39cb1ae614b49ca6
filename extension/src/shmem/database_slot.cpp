// See database_slot.hpp.
#include "shmem/database_slot.hpp"

namespace rill {

namespace {

DatabaseSlot *mine = nullptr;

extern "C" void rill_detach_slot(int, Datum) {
    if (mine == nullptr)
        return;
    SpinLockAcquire(&mine->mutex);
    --mine->attached;
    SpinLockRelease(&mine->mutex);
    mine = nullptr;
}

bool try_attach(DatabaseSlot *slot, bool take_free) {
    bool attached = false;
    SpinLockAcquire(&slot->mutex);
    if (slot->database == MyDatabaseId) {
        ++slot->attached;
        attached = true;
    } else if (take_free &&
               (slot->database == InvalidOid || (slot->attached == 0 && slot->worker_state == WorkerState::absent))) {
        slot->database = MyDatabaseId;
        slot->attached = 1;
        slot->ring.init(static_cast<uint32>(shared->ring_size));
        slot->worker_asleep = false;
        for (pg_atomic_uint64 *counter : counters_of(slot))
            pg_atomic_write_u64(counter, 0);
        pg_atomic_write_u32(&slot->retention_wanted, 0);
        slot->since = 0;
        attached = true;
    }
    SpinLockRelease(&slot->mutex);
    return attached;
}

void set_latch_of(int proc) {
    if (proc >= 0)
        SetLatch(&GetPGProcByNumber(proc)->procLatch);
}

}  // namespace

DatabaseSlot *my_database_slot() { return mine; }

DatabaseSlot *attach_database_slot() {
    static bool complained = false;
    if (mine != nullptr || shared == nullptr || !OidIsValid(MyDatabaseId))
        return mine;
    // Two sessions of a new database must not take two slots: taking is serialised.
    LWLockAcquire(&shared->wait_locks[0].lock, LW_EXCLUSIVE);
    for (int pass = 0; pass < 3 && mine == nullptr; ++pass)
        for (int i = 0; i < shared->slots && mine == nullptr; ++i) {
            DatabaseSlot *slot = &database_slots[i];
            // First our own, then one that was never used, then one that nobody holds.
            if (pass == 1 && slot->database != InvalidOid)
                continue;
            if (try_attach(slot, pass > 0))
                mine = slot;
        }
    if (mine != nullptr && mine->since == 0)
        mine->since = GetCurrentTimestamp();
    LWLockRelease(&shared->wait_locks[0].lock);
    if (mine != nullptr)
        on_shmem_exit(rill_detach_slot, 0);  // after the abort of an open transaction, which still wakes readers
    else if (!complained) {
        complained = true;
        ereport(LOG, (errmsg("pg_rill has no free place for wake-ups of this database"),
                      errhint("Increase \"pg_rill.max_databases\"; until then readers find new chunks by polling.")));
    }
    return mine;
}

void wake_worker(DatabaseSlot *slot) {
    SpinLockAcquire(&slot->mutex);
    const int proc = slot->worker_state == WorkerState::running ? slot->worker_proc : -1;
    slot->worker_asleep = false;
    SpinLockRelease(&slot->mutex);
    set_latch_of(proc);
}

void wake_launcher() {
    SpinLockAcquire(&shared->launcher_mutex);
    const int proc = shared->launcher_proc;
    SpinLockRelease(&shared->launcher_mutex);
    set_latch_of(proc);
}

void queue_wakeups(DatabaseSlot *slot, const int64 *ids, int count, bool everything) {
    int queued = 0;
    int coalesced = 0;
    bool overflowed = everything;
    int proc = -1;
    for (int i = 0; i < count && !overflowed;) {
        // In short turns: a spinlock is not for walking a long list.
        SpinLockAcquire(&slot->mutex);
        for (const int turn = Min(count, i + 64); i < turn && !overflowed; ++i)
            switch (slot->ring.put(ring_of(slot), ids[i])) {
            case core::WakeRing::Put::Queued:
                ++queued;
                break;
            case core::WakeRing::Put::Coalesced:
                ++coalesced;
                break;
            case core::WakeRing::Put::Overflowed:
                overflowed = true;
                break;
            }
        if (slot->worker_asleep && slot->worker_state == WorkerState::running) {
            slot->worker_asleep = false;
            proc = slot->worker_proc;
        }
        SpinLockRelease(&slot->mutex);
    }
    if (everything) {
        SpinLockAcquire(&slot->mutex);
        slot->ring.overflowed = true;
        SpinLockRelease(&slot->mutex);
        wake_worker(slot);
    }
    if (queued > 0)
        pg_atomic_fetch_add_u64(&slot->queued, queued);
    if (coalesced > 0)
        pg_atomic_fetch_add_u64(&slot->coalesced, coalesced);
    if (overflowed)
        pg_atomic_fetch_add_u64(&slot->overflows, 1);
    set_latch_of(proc);
}

}  // namespace rill
