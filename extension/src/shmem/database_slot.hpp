// A database's place in shared memory: its queue to the worker, its counters.
// Slots are taken when a session first needs one and reused only when no session and no
// worker holds them. When all are taken a session has none: its wake-ups fall to the
// recheck and to polling, and one log line says so.
#pragma once
#include "shmem/shared_state.hpp"

namespace rill {

// This session's slot, taking one if need be; null without shared memory or when all are taken.
DatabaseSlot *attach_database_slot();
// This session's slot if it has one already; for callbacks that must not fail.
DatabaseSlot *my_database_slot();

// Hands stream ids to the worker when somebody listens. Cannot fail.
void queue_wakeups(DatabaseSlot *slot, const int64 *ids, int count, bool everything);
void wake_worker(DatabaseSlot *slot);
void wake_launcher();

inline int64 *ring_of(const DatabaseSlot *slot) { return ring_slots + (slot - database_slots) * shared->ring_size; }

}  // namespace rill
