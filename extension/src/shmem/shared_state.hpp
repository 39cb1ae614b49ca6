// Everything of pg_rill that lives in shared memory, behind one pointer.
// `shared` is null when the library was not preloaded: every mechanism then does
// without (ids from the index, no wake-ups), and nothing is lost.
// Must survive: any backend killed at any point (the server resets the whole segment),
// full tables (callers degrade, see each part), and sessions that never detach.
#pragma once
#include "core/id_cache_set.hpp"
#include "core/wake_ring.hpp"
#include "base/postgres_api.hpp"

#include <array>

namespace rill {

enum class WorkerState : uint32 { absent, starting, running };

// One database that has, or had, listening sessions.
struct DatabaseSlot {
    slock_t mutex;  // protects database, attached, the ring, worker_*; never held over a call that can error
    Oid database;   // InvalidOid: free
    int attached;   // sessions that hold a pointer to this slot
    core::WakeRing ring;
    bool worker_asleep;  // set by the worker before it sleeps, cleared by whoever wakes it
    WorkerState worker_state;
    int worker_proc;  // index into ProcGlobal->allProcs, valid while running
    int worker_pid;
    bool worker_left;  // the last one went because nobody listened any more
    TimestampTz worker_started_at;
    pg_atomic_uint32 listeners;         // sessions registered by stream_listen()
    pg_atomic_uint64 wakeups;           // sessions woken at a transaction's end
    pg_atomic_uint64 queued;            // stream ids handed to the worker
    pg_atomic_uint64 coalesced;         // stream ids that were already waiting there
    pg_atomic_uint64 notifies;          // NOTIFY payloads sent
    pg_atomic_uint64 overflows;         // times the ring was full
    pg_atomic_uint64 rescues;           // waits that the recheck ended, not a wake-up
    pg_atomic_uint64 trimmed;           // chunks removed by retention
    pg_atomic_uint64 deleted;           // streams deleted by retention
    pg_atomic_uint64 retention_at;      // when it last looked at this database, a TimestampTz; 0: not yet
    pg_atomic_uint32 retention_wanted;  // set by sessions, cleared by the launcher: look sooner
    TimestampTz since;
};

inline std::array<pg_atomic_uint64 *, 9> counters_of(DatabaseSlot *slot) {
    return {&slot->wakeups, &slot->queued,  &slot->coalesced, &slot->notifies,    &slot->overflows,
            &slot->rescues, &slot->trimmed, &slot->deleted,   &slot->retention_at};
}

struct IdCacheSlot {
    slock_t mutex;  // protects the set
    core::IdCacheSet set;
};

// One stream that one session waits for; linked into the bucket of its key.
struct WaitEntry {
    uint64 key;
    Oid database;
    int proc;      // index into ProcGlobal->allProcs
    int next;      // -1 ends a list
    int previous;  // -1: first of its bucket
};

struct WaitBucket {
    pg_atomic_uint32 first;  // index of a WaitEntry, or kNoEntry; read without the lock to see "nobody"
};
inline constexpr uint32 kNoEntry = PG_UINT32_MAX;
inline constexpr int kWaitPartitions = 32;

// What the launcher and the one retention worker tell each other about the pass over one database.
enum class PassResult : uint32 {
    failed,      // the worker has not reported anything else
    no_work,     // no extension there, or nothing that retention could ever remove
    finished,    // every stream has had its turn
    unfinished,  // its time was up
};
enum class PassPhase : uint32 { limits, purge, forget };
struct PassPosition {
    PassPhase phase;
    int64 after;  // streams with ids above it are next
};
struct RetentionPass {
    Oid database;
    PassPosition position;
    PassResult result;
};

// A prepared transaction that touched streams, so that whoever ends it can wake their readers.
inline constexpr int kPreparedStreams = 16;
struct PreparedTouch {
    uint64 gid;     // hash of database and transaction identifier; 0: free
    uint64 serial;  // the oldest makes room: a prepared transaction can end where nobody tells us
    int count;      // -1: more streams than this has room for
    uint64 keys[kPreparedStreams];
    int64 streams[kPreparedStreams];
};

struct SharedState {
    uint64 run;  // random for this start of this server; never changes
    int sets;    // powers of two, fixed at start
    int buckets;
    int entries;  // MaxBackends (one for each session) + pg_rill.max_waits
    int slots;
    int ring_size;
    slock_t free_mutex;      // protects free_entry
    int free_entry;          // first of the free wait entries, -1: none
    slock_t launcher_mutex;  // protects launcher_* and retention_pass
    int launcher_proc;
    int launcher_pid;
    RetentionPass retention_pass;
    LWLockPadded *prepared_lock;  // protects prepared_touches and prepared_serial
    uint64 prepared_serial;
    pg_atomic_uint32 waiting;  // sessions in a wait, server-wide
    LWLockPadded *wait_locks;  // kWaitPartitions, one for each group of buckets
};
static_assert(std::is_trivially_destructible_v<SharedState> && std::is_standard_layout_v<SharedState>);
static_assert(std::is_trivially_destructible_v<DatabaseSlot> && std::is_trivially_copyable_v<core::IdCacheSet>);

extern SharedState *shared;
extern IdCacheSlot *id_cache_slots;   // [shared->sets]
extern WaitBucket *wait_buckets;         // [shared->buckets]
extern WaitEntry *wait_entries;          // [shared->entries]
extern pg_atomic_uint32 *wait_signals;   // [MaxBackends] why a waiting session was woken
extern DatabaseSlot *database_slots;     // [shared->slots]
extern PreparedTouch *prepared_touches;  // [max_prepared_xacts]
extern int64 *ring_slots;                // [shared->slots * shared->ring_size]

void install_shmem_hooks();

// Raises 55000 with a hint that says what to set; `what` completes "pg_rill must be preloaded to ...".
void require_shared(const char *what);

// 32 bits that tell this run of this server, and this stream, from all others (DESIGN section 5).
int32 epoch_of(Oid chunk_table, int64 stream_id);

}  // namespace rill
