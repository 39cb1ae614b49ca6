// A database's slot in shared memory: its queue to the notifier, and its counters.
// A slot is taken when a session of the database first needs one. Another database can take it only when no session and
// no notifier holds it.
// Full: sessions of one more database have no slot. Listeners there get no NOTIFY and poll, waits there are still
// woken, and one log line says so.
#pragma once
#include "core/wake_ring.hpp"
#include "shmem/shared_state.hpp"

#include <array>

namespace rill {

enum class NotifierState : uint32 { absent, starting, running };

struct DatabaseSlot {
    slock_t mutex;  // protects all but the atomics; never held over a call that can error
    Oid database;   // InvalidOid: free
    int attached;   // sessions that hold a pointer to this slot
    core::WakeRing ring;
    NotifierState notifier_state;
    bool notifier_asleep;  // set by the notifier before it sleeps, cleared by the process that wakes it
    bool notifier_left;    // the last one exited because no session was listening
    int notifier_proc;     // index into ProcGlobal->allProcs, valid while running
    int notifier_pid;      // valid while running
    TimestampTz notifier_started_at;
    TimestampTz since;                  // when this database took the slot
    pg_atomic_uint32 listeners;         // sessions registered by stream_listen()
    pg_atomic_uint64 wakeups;           // sessions woken at a transaction's end
    pg_atomic_uint64 queued;            // stream ids handed to the notifier
    pg_atomic_uint64 coalesced;         // stream ids that were already in the queue
    pg_atomic_uint64 notifies;          // NOTIFY payloads sent
    pg_atomic_uint64 overflows;         // times the queue was full
    pg_atomic_uint64 rescues;           // waits that the recheck ended, not a wake-up
    pg_atomic_uint64 trimmed;           // chunks removed by retention
    pg_atomic_uint64 deleted;           // streams deleted by retention
    pg_atomic_uint64 retention_at;      // when retention last visited this database, a TimestampTz; 0: not yet
    pg_atomic_uint32 retention_wanted;  // set by sessions, cleared by the launcher at its next visit: visit it sooner
    pg_atomic_uint32 retention_walk;    // a Walk (retention_queue.hpp)
};

extern DatabaseSlot *database_slots;  // [max_databases]; null without shared memory

// This session's slot, taking one if necessary; null without shared memory or when all are taken. With Retry::rarely a
// session that found none tries again only after a second: for callers that run in every transaction.
enum class Retry : bool { rarely, at_once };
DatabaseSlot *attach_database_slot(Retry retry = Retry::at_once);
// This session's slot if it has one already; for callbacks that must not fail.
DatabaseSlot *my_database_slot();

Oid database_of(DatabaseSlot *slot);

// Hands stream ids to the notifier of a database that has listeners. Cannot fail.
void queue_wakeups(DatabaseSlot *slot, const int64 *ids, int count);
// The same for "everything".
void queue_everything(DatabaseSlot *slot);
void wake_notifier(DatabaseSlot *slot);
// For the notifier: takes up to `room` ids out of the queue; `everything` after an overflow. Returns false when the
// queue is empty; the notifier then counts as asleep.
bool take_queued(DatabaseSlot *slot, int64 *ids, int room, int *count, bool *everything);

void request_database_slots();
void attach_database_slots();

}  // namespace rill
