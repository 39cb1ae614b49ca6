// See wait_list.hpp.
// Entries are linked into the bucket of their key. Entry i < MaxBackends is reserved for session i, so that every
// session can wait for one stream; the others are for waits for several and form a free list.
#include "shmem/wait_list.hpp"

#include "base/pg_compat.hpp"
#include "base/settings.hpp"
#include "shmem/launcher_state.hpp"

namespace rill {

namespace {

constexpr const char *kTranche = "PgRillWaitList";
constexpr int kPartitions = 32;  // locks, each for every 32nd bucket
constexpr uint32 kNoEntry = PG_UINT32_MAX;

struct WaitEntry {
    uint64 key;
    Oid database;
    int proc;      // index into ProcGlobal->allProcs
    int next;      // -1 ends a list
    int previous;  // -1: first of its bucket
};
struct WaitBucket {
    pg_atomic_uint32 first;  // index of a WaitEntry, or kNoEntry; read without the lock to see if any session waits
};
struct WaitList {
    pg_atomic_uint32 waiting;  // sessions in a wait
    slock_t free_mutex;        // protects free_entry
    int free_entry;            // first of the free list, -1: none
};
static_assert(std::is_trivially_copyable_v<WaitEntry> && std::is_standard_layout_v<WaitList>);

WaitList *list = nullptr;             // null without shared memory
WaitBucket *buckets = nullptr;        // [bucket_count()], each protected by its lock_of()
WaitEntry *entries = nullptr;         // [entry_count()], protected by the lock of the bucket or by free_mutex
pg_atomic_uint64 *signals = nullptr;  // [MaxBackends] a session's wait, in one word: see waiting_word()
LWLockPadded *locks = nullptr;        // [kPartitions]
uint64 bucket_mask = 0;

int bucket_count() { return power_of_two_at_least(Max(kPartitions, max_waits / 4)); }
int entry_count() { return MaxBackends + max_waits; }

// The parts of the area behind `list`.
struct Layout {
    Size buckets;
    Size entries;
    Size signals;
    Size end;
};
Layout layout() {
    Layout at;
    at.buckets = MAXALIGN(sizeof(WaitList));
    at.entries = add_size(at.buckets, MAXALIGN(mul_size(static_cast<Size>(bucket_count()), sizeof(*buckets))));
    at.signals = add_size(at.entries, MAXALIGN(mul_size(static_cast<Size>(entry_count()), sizeof(*entries))));
    at.end = add_size(at.signals, mul_size(static_cast<Size>(MaxBackends), sizeof(*signals)));
    return at;
}

// This session's wait. The array of its entries is kept between waits.
struct {
    int *entries;
    int room;
    int count;
    int level;  // transaction nesting level at which it began
    bool active;
} my_wait = {nullptr, 0, 0, 0, false};

// The process id in the high half while the session waits, else 0; in the low half why it was woken. That the two are
// one word is why an interrupt is neither late nor for another session: it is stored only into a word with this process
// id, and begin_wait() and end_wait() replace the whole word. A signal may be stored into any word, for it only costs
// a check.
uint64 waiting_word(int pid) { return static_cast<uint64>(static_cast<uint32>(pid)) << 32; }

uint32 bucket_index(uint64 key) { return static_cast<uint32>(key & bucket_mask); }
LWLock *lock_of(uint32 bucket) { return &locks[bucket % kPartitions].lock; }

void link(int index, uint64 key) {
    const uint32 bucket = bucket_index(key);
    WaitEntry *entry = &entries[index];
    LWLockAcquire(lock_of(bucket), LW_EXCLUSIVE);
    const uint32 first = pg_atomic_read_u32(&buckets[bucket].first);
    *entry = WaitEntry{key, MyDatabaseId, my_proc_number(), first == kNoEntry ? -1 : static_cast<int>(first), -1};
    if (first != kNoEntry)
        entries[first].previous = index;
    pg_atomic_write_u32(&buckets[bucket].first, static_cast<uint32>(index));
    LWLockRelease(lock_of(bucket));
}

void unlink(int index) {
    WaitEntry *entry = &entries[index];
    const uint32 bucket = bucket_index(entry->key);
    LWLockAcquire(lock_of(bucket), LW_EXCLUSIVE);
    if (entry->next >= 0)
        entries[entry->next].previous = entry->previous;
    if (entry->previous >= 0)
        entries[entry->previous].next = entry->next;
    else
        pg_atomic_write_u32(&buckets[bucket].first, entry->next >= 0 ? static_cast<uint32>(entry->next) : kNoEntry);
    LWLockRelease(lock_of(bucket));
}

int take_free_entry() {
    SpinLockAcquire(&list->free_mutex);
    const int index = list->free_entry;
    if (index >= 0)
        list->free_entry = entries[index].next;
    SpinLockRelease(&list->free_mutex);
    return index;
}

void release_entry(int index) {
    SpinLockAcquire(&list->free_mutex);
    entries[index].next = list->free_entry;
    list->free_entry = index;
    SpinLockRelease(&list->free_mutex);
}

void signal_session(int proc, uint32 signal) {
    pg_atomic_fetch_or_u64(&signals[proc], signal);
    set_latch_of(proc);
}

// Calls fn for each entry of the bucket, under its lock.
template <typename Fn>
void for_each_entry(uint32 bucket, Fn fn) {
    LWLockAcquire(lock_of(bucket), LW_SHARED);
    const uint32 first = pg_atomic_read_u32(&buckets[bucket].first);
    for (int i = first == kNoEntry ? -1 : static_cast<int>(first); i >= 0; i = entries[i].next)
        fn(entries[i]);
    LWLockRelease(lock_of(bucket));
}

template <typename Fn>
void for_each_entry_of_all(Fn fn) {
    for (uint64 bucket = 0; bucket <= bucket_mask; ++bucket)
        if (pg_atomic_read_u32(&buckets[bucket].first) != kNoEntry)
            for_each_entry(static_cast<uint32>(bucket), fn);
}

}  // namespace

void request_wait_list() {
    RequestAddinShmemSpace(layout().end);
    RequestNamedLWLockTranche(kTranche, kPartitions);
}

void attach_wait_list() {
    const Layout at = layout();
    const bool is_new = attach_area("pg_rill wait list", at.end, &list);
    char *area = reinterpret_cast<char *>(list);
    buckets = reinterpret_cast<WaitBucket *>(area + at.buckets);
    entries = reinterpret_cast<WaitEntry *>(area + at.entries);
    signals = reinterpret_cast<pg_atomic_uint64 *>(area + at.signals);
    locks = GetNamedLWLockTranche(kTranche);
    bucket_mask = static_cast<uint64>(bucket_count() - 1);
    if (!is_new)
        return;
    pg_atomic_init_u32(&list->waiting, 0);
    SpinLockInit(&list->free_mutex);
    for (uint64 i = 0; i <= bucket_mask; ++i)
        pg_atomic_init_u32(&buckets[i].first, kNoEntry);
    for (int i = 0; i < MaxBackends; ++i)
        pg_atomic_init_u64(&signals[i], 0);
    for (int i = MaxBackends; i < entry_count(); ++i)
        entries[i].next = i + 1 < entry_count() ? i + 1 : -1;
    list->free_entry = MaxBackends < entry_count() ? MaxBackends : -1;
}

int begin_wait(const uint64 *keys, int count) {
    // A policy's function that waits inside the check of a wait: linking our entry twice would make the list circular.
    if (my_wait.active)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("this session is already waiting for a stream"),
                        errhint("Policies on table \"stream\" must not wait for streams.")));
    if (count > my_wait.room) {
        if (my_wait.entries != nullptr)
            pfree(my_wait.entries);
        my_wait.entries = nullptr;
        my_wait.room = 0;
        my_wait.entries =
            static_cast<int *>(MemoryContextAlloc(TopMemoryContext, sizeof(int) * static_cast<Size>(count)));
        my_wait.room = count;
    }
    my_wait.active = true;
    my_wait.level = GetCurrentTransactionNestLevel();
    my_wait.count = 0;
    if (pg_atomic_fetch_add_u32(&list->waiting, 1) == 0 && RecoveryInProgress())
        wake_launcher();  // it watches replay while any session waits
    pg_atomic_write_u64(&signals[my_proc_number()], waiting_word(MyProcPid));
    for (int i = 0; i < count; ++i) {
        const int index = i == 0 ? my_proc_number() : take_free_entry();
        if (index < 0)
            break;
        link(index, keys[i]);
        my_wait.entries[my_wait.count++] = index;
    }
    pg_memory_barrier();
    return my_wait.count;
}

void end_wait() {
    if (!my_wait.active)
        return;
    pg_atomic_write_u64(&signals[my_proc_number()], 0);
    while (my_wait.count > 0) {
        const int index = my_wait.entries[--my_wait.count];
        unlink(index);
        if (index >= MaxBackends)
            release_entry(index);
    }
    pg_atomic_fetch_sub_u32(&list->waiting, 1);
    my_wait.active = false;
}

void end_wait_of_level(int level) {
    if (my_wait.active && my_wait.level >= level)
        end_wait();
}

uint32 take_signals() {
    return static_cast<uint32>(pg_atomic_exchange_u64(&signals[my_proc_number()], waiting_word(MyProcPid)));
}

bool interrupt_wait(int proc, int pid) {
    uint64 word = pg_atomic_read_u64(&signals[proc]);
    do {
        if ((word >> 32) != static_cast<uint32>(pid))
            return false;
    } while (!pg_atomic_compare_exchange_u64(&signals[proc], &word, word | kSignalInterrupt));
    set_latch_of(proc);
    return true;
}

int wake_stream(uint64 key) {
    const uint32 bucket = bucket_index(key);
    int woken = 0;
    if (pg_atomic_read_u32(&buckets[bucket].first) == kNoEntry)
        return 0;
    // Woken after the lock is released: on one processor the woken session may run at once, and it takes the same lock
    // to end its wait. The wait may already have ended; then that session, or the process that now has its index, makes
    // one unneeded check.
    int procs[64];
    size_t collected = 0;
    for_each_entry(bucket, [&](const WaitEntry &entry) {
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
    if (pg_atomic_read_u32(&list->waiting) == 0)
        return 0;
    for_each_entry_of_all([&](const WaitEntry &entry) {
        if (entry.database == database || !OidIsValid(database)) {
            signal_session(entry.proc, kSignalEverything);
            ++woken;
        }
    });
    return woken;
}

int waiting_sessions() { return static_cast<int>(pg_atomic_read_u32(&list->waiting)); }

int count_waiters(uint64 key) {
    int waiters = 0;
    for_each_entry(bucket_index(key), [&](const WaitEntry &entry) { waiters += entry.key == key ? 1 : 0; });
    return waiters;
}

int count_database_waiters(Oid database) {
    // Sessions, not streams: the reserved entries are one for each session.
    int waiters = 0;
    for_each_entry_of_all([&](const WaitEntry &entry) {
        waiters += entry.database == database && &entry == &entries[entry.proc] ? 1 : 0;
    });
    return waiters;
}

}  // namespace rill
