// See wait_list.hpp.
#include "shmem/wait_list.hpp"

#include "shmem/database_slot.hpp"
#include "base/pg_compat.hpp"

namespace rill {

namespace {

// This session's registered entries, first its own reserved one. Kept between waits.
struct {
    int *entries;
    int room;
    int count;
    int level;
    bool active;
} mine = {nullptr, 0, 0, 0, false};

uint32 bucket_index(uint64 key) { return static_cast<uint32>(key & static_cast<uint64>(shared->buckets - 1)); }
LWLock *lock_of(uint32 bucket) { return &shared->wait_locks[bucket % kWaitPartitions].lock; }

void link(int index, uint64 key) {
    const uint32 bucket = bucket_index(key);
    WaitEntry *entry = &wait_entries[index];
    LWLockAcquire(lock_of(bucket), LW_EXCLUSIVE);
    const uint32 first = pg_atomic_read_u32(&wait_buckets[bucket].first);
    *entry = WaitEntry{key, MyDatabaseId, my_proc_number(), first == kNoEntry ? -1 : static_cast<int>(first), -1};
    if (first != kNoEntry)
        wait_entries[first].previous = index;
    pg_atomic_write_u32(&wait_buckets[bucket].first, static_cast<uint32>(index));
    LWLockRelease(lock_of(bucket));
}

void unlink(int index) {
    WaitEntry *entry = &wait_entries[index];
    const uint32 bucket = bucket_index(entry->key);
    LWLockAcquire(lock_of(bucket), LW_EXCLUSIVE);
    if (entry->next >= 0)
        wait_entries[entry->next].previous = entry->previous;
    if (entry->previous >= 0)
        wait_entries[entry->previous].next = entry->next;
    else
        pg_atomic_write_u32(&wait_buckets[bucket].first,
                            entry->next >= 0 ? static_cast<uint32>(entry->next) : kNoEntry);
    LWLockRelease(lock_of(bucket));
}

int take_free_entry() {
    SpinLockAcquire(&shared->free_mutex);
    const int index = shared->free_entry;
    if (index >= 0)
        shared->free_entry = wait_entries[index].next;
    SpinLockRelease(&shared->free_mutex);
    return index;
}

void give_back_entry(int index) {
    SpinLockAcquire(&shared->free_mutex);
    wait_entries[index].next = shared->free_entry;
    shared->free_entry = index;
    SpinLockRelease(&shared->free_mutex);
}

void signal_session(int proc, uint32 signal) {
    pg_atomic_fetch_or_u32(&wait_signals[proc], signal);
    SetLatch(&GetPGProcByNumber(proc)->procLatch);
}

// Calls fn for each entry of the bucket, under its lock.
template <typename Fn>
void for_each_entry(uint32 bucket, LWLockMode mode, Fn fn) {
    LWLockAcquire(lock_of(bucket), mode);
    const uint32 first = pg_atomic_read_u32(&wait_buckets[bucket].first);
    for (int i = first == kNoEntry ? -1 : static_cast<int>(first); i >= 0; i = wait_entries[i].next)
        fn(wait_entries[i]);
    LWLockRelease(lock_of(bucket));
}

}  // namespace

int begin_wait(const uint64 *keys, int count) {
    // A policy's function that waits, inside the look of a wait: linking our entry twice would make the list a ring.
    if (mine.active)
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("this session waits for a stream already"),
                 errhint("A policy on table \"stream\" must not wait for streams.")));
    if (count > mine.room) {
        if (mine.entries != nullptr)
            pfree(mine.entries);
        mine.entries = nullptr;
        mine.room = 0;
        mine.entries = static_cast<int *>(MemoryContextAlloc(TopMemoryContext, sizeof(int) * static_cast<Size>(count)));
        mine.room = count;
    }
    mine.active = true;
    mine.level = GetCurrentTransactionNestLevel();
    mine.count = 0;
    if (pg_atomic_fetch_add_u32(&shared->waiting, 1) == 0 && RecoveryInProgress())
        wake_launcher();  // it watches replay while somebody waits
    pg_atomic_write_u32(&wait_signals[my_proc_number()], 0);
    for (int i = 0; i < count; ++i) {
        const int index = i == 0 ? my_proc_number() : take_free_entry();
        if (index < 0)
            break;
        link(index, keys[i]);
        mine.entries[mine.count++] = index;
    }
    pg_memory_barrier();
    return mine.count;
}

void end_wait() {
    if (!mine.active)
        return;
    while (mine.count > 0) {
        const int index = mine.entries[--mine.count];
        unlink(index);
        if (index >= MaxBackends)
            give_back_entry(index);
    }
    pg_atomic_fetch_sub_u32(&shared->waiting, 1);
    mine.active = false;
}

void end_wait_of_level(int level) {
    if (mine.active && mine.level >= level)
        end_wait();
}

uint32 take_signals() { return pg_atomic_exchange_u32(&wait_signals[my_proc_number()], 0); }

int wake_stream(uint64 key) {
    const uint32 bucket = bucket_index(key);
    int woken = 0;
    if (pg_atomic_read_u32(&wait_buckets[bucket].first) == kNoEntry)
        return 0;
    // Woken after the lock is released: on one processor the woken session may run at once, and it takes the same lock
    // to end its wait. Until then it may have left; then it, or who has its place, looks once too often.
    int procs[64];
    size_t collected = 0;
    for_each_entry(bucket, LW_SHARED, [&](const WaitEntry &entry) {
        if (entry.key != key)
            return;
        ++woken;
        if (collected < lengthof(procs))
            procs[collected++] = entry.proc;
        else
            signal_session(entry.proc, kSignalStream);
    });
    for (size_t i = 0; i < collected; ++i)
        signal_session(procs[i], kSignalStream);
    return woken;
}

int wake_database(Oid database) {
    int woken = 0;
    if (pg_atomic_read_u32(&shared->waiting) == 0)
        return 0;
    for (int bucket = 0; bucket < shared->buckets; ++bucket) {
        if (pg_atomic_read_u32(&wait_buckets[bucket].first) == kNoEntry)
            continue;
        for_each_entry(static_cast<uint32>(bucket), LW_SHARED, [&](const WaitEntry &entry) {
            if (entry.database == database || !OidIsValid(database)) {
                signal_session(entry.proc, kSignalEverything);
                ++woken;
            }
        });
    }
    return woken;
}

int count_waiters(uint64 key) {
    int waiters = 0;
    for_each_entry(bucket_index(key), LW_SHARED, [&](const WaitEntry &entry) { waiters += entry.key == key ? 1 : 0; });
    return waiters;
}

int count_database_waiters(Oid database) {
    // Sessions, not streams: the reserved entries are one for each session.
    int waiters = 0;
    for (int bucket = 0; bucket < shared->buckets; ++bucket)
        if (pg_atomic_read_u32(&wait_buckets[bucket].first) != kNoEntry)
            for_each_entry(static_cast<uint32>(bucket), LW_SHARED, [&](const WaitEntry &entry) {
                waiters += entry.database == database && &entry == &wait_entries[entry.proc] ? 1 : 0;
            });
    return waiters;
}

}  // namespace rill
