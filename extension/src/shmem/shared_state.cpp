// Sizing and initialising the shared segment. See shared_state.hpp.
#include "shmem/shared_state.hpp"

#include "base/settings.hpp"

namespace rill {

SharedState *shared = nullptr;
IdCacheSlot *id_cache_slots = nullptr;
WaitBucket *wait_buckets = nullptr;
WaitEntry *wait_entries = nullptr;
pg_atomic_uint32 *wait_signals = nullptr;
DatabaseSlot *database_slots = nullptr;
PreparedTouch *prepared_touches = nullptr;
int64 *ring_slots = nullptr;

namespace {

constexpr const char *kTranche = "pg_rill";
shmem_startup_hook_type previous_startup = nullptr;
shmem_request_hook_type previous_request = nullptr;

int power_of_two_at_least(int n) { return static_cast<int>(pg_nextpower2_32(static_cast<uint32>(n))); }

int set_count() { return power_of_two_at_least(Max(1, cached_streams / core::IdCacheSet::kWays)); }
int bucket_count() { return power_of_two_at_least(Max(kWaitPartitions, max_waits / 4)); }
int entry_count() { return MaxBackends + max_waits; }
int ring_size() { return power_of_two_at_least(wake_queue_size); }

Size segment_size() {
    Size size = MAXALIGN(sizeof(SharedState));
    size = add_size(size, MAXALIGN(mul_size(static_cast<Size>(set_count()), sizeof(IdCacheSlot))));
    size = add_size(size, MAXALIGN(mul_size(static_cast<Size>(bucket_count()), sizeof(WaitBucket))));
    size = add_size(size, MAXALIGN(mul_size(static_cast<Size>(entry_count()), sizeof(WaitEntry))));
    size = add_size(size, MAXALIGN(mul_size(static_cast<Size>(MaxBackends), sizeof(pg_atomic_uint32))));
    size = add_size(size, MAXALIGN(mul_size(static_cast<Size>(max_databases), sizeof(DatabaseSlot))));
    size = add_size(size, MAXALIGN(mul_size(static_cast<Size>(max_prepared_xacts), sizeof(PreparedTouch))));
    size = add_size(size, MAXALIGN(mul_size(mul_size(static_cast<Size>(max_databases), static_cast<Size>(ring_size())),
                                            sizeof(int64))));
    return size;
}

template <typename T>
T *carve(char *&at, Size count) {
    T *place = reinterpret_cast<T *>(at);
    at += MAXALIGN(count * sizeof(T));
    return place;
}

void initialise() {
    if (!pg_strong_random(&shared->run, sizeof(shared->run)))
        ereport(ERROR,
                (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate a random number for this server start")));
    shared->sets = set_count();
    shared->buckets = bucket_count();
    shared->entries = entry_count();
    shared->slots = max_databases;
    shared->ring_size = ring_size();
    shared->wait_locks = GetNamedLWLockTranche(kTranche);
    shared->prepared_lock = shared->wait_locks + kWaitPartitions;
    shared->launcher_proc = -1;
    SpinLockInit(&shared->free_mutex);
    SpinLockInit(&shared->launcher_mutex);
    pg_atomic_init_u32(&shared->waiting, 0);
    for (int i = 0; i < shared->sets; ++i)
        SpinLockInit(&id_cache_slots[i].mutex);
    for (int i = 0; i < shared->buckets; ++i)
        pg_atomic_init_u32(&wait_buckets[i].first, kNoEntry);
    for (int i = 0; i < MaxBackends; ++i)
        pg_atomic_init_u32(&wait_signals[i], 0);
    // Entry i < MaxBackends belongs to session i; the rest is one free list.
    for (int i = MaxBackends; i < shared->entries; ++i)
        wait_entries[i].next = i + 1 < shared->entries ? i + 1 : -1;
    shared->free_entry = MaxBackends < shared->entries ? MaxBackends : -1;
    for (int i = 0; i < shared->slots; ++i) {
        DatabaseSlot *slot = &database_slots[i];
        SpinLockInit(&slot->mutex);
        slot->ring.init(static_cast<uint32>(shared->ring_size));
        pg_atomic_init_u32(&slot->listeners, 0);
        pg_atomic_init_u32(&slot->retention_wanted, 0);
        for (pg_atomic_uint64 *counter : counters_of(slot))
            pg_atomic_init_u64(counter, 0);
    }
}

extern "C" {

void rill_shmem_request(void) {
    if (previous_request)
        previous_request();
    RequestAddinShmemSpace(segment_size());
    RequestNamedLWLockTranche(kTranche, kWaitPartitions + 1);
}

void rill_shmem_startup(void) {
    if (previous_startup)
        previous_startup();
    bool found;
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    char *at = static_cast<char *>(ShmemInitStruct("pg_rill", segment_size(), &found));
    if (!found)
        memset(at, 0, segment_size());
    shared = carve<SharedState>(at, 1);
    id_cache_slots = carve<IdCacheSlot>(at, static_cast<Size>(set_count()));
    wait_buckets = carve<WaitBucket>(at, static_cast<Size>(bucket_count()));
    wait_entries = carve<WaitEntry>(at, static_cast<Size>(entry_count()));
    wait_signals = carve<pg_atomic_uint32>(at, static_cast<Size>(MaxBackends));
    database_slots = carve<DatabaseSlot>(at, static_cast<Size>(max_databases));
    prepared_touches = carve<PreparedTouch>(at, static_cast<Size>(max_prepared_xacts));
    ring_slots = carve<int64>(at, static_cast<Size>(max_databases) * static_cast<Size>(ring_size()));
    if (!found)
        initialise();
    LWLockRelease(AddinShmemInitLock);
}

}  // extern "C"

}  // namespace

void install_shmem_hooks() {
    previous_request = shmem_request_hook;
    shmem_request_hook = rill_shmem_request;
    previous_startup = shmem_startup_hook;
    shmem_startup_hook = rill_shmem_startup;
}

void require_shared(const char *what) {
    if (shared == nullptr)
        ereport(
            ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("pg_rill must be loaded via \"shared_preload_libraries\" to %s", what),
             errhint("Add \"pg_rill\" to \"shared_preload_libraries\" in postgresql.conf and restart the server.")));
}

int32 epoch_of(Oid chunk_table, int64 stream_id) {
    // Without shared memory each session is a run of its own: as good for telling
    // chunks apart, and right across a crash that the postmaster itself survives.
    static uint64 own_run = 0;
    if (shared == nullptr && own_run == 0 && !pg_strong_random(&own_run, sizeof(own_run)))
        ereport(ERROR,
                (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate a random number for this session")));
    struct {
        uint64 run;
        int64 stream;
        Oid table;
        Oid database;  // a copy made by CREATE DATABASE ... TEMPLATE has the same tables and streams
    } const parts = {shared != nullptr ? shared->run : own_run, stream_id, chunk_table, MyDatabaseId};
    return static_cast<int32>(hash_bytes(reinterpret_cast<const unsigned char *>(&parts), sizeof(parts)));
}

}  // namespace rill
