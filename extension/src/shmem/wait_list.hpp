// Who waits for which stream, in shared memory.
// A waiter registers first, then looks at the table, then sleeps; a writer makes its
// commit visible first, then looks for waiters. Registering and taking a snapshot, and
// leaving the proc array, all pass a full barrier, so one of the two sees the other.
// A session that finds no free entry waits unregistered: its recheck finds the chunk.
// Must survive: errors and cancels in the middle of a wait (the abort callback ends it),
// the same session waiting for many streams, and a full table.
#pragma once
#include "shmem/shared_state.hpp"

namespace rill {

inline constexpr uint32 kSignalStream = 1;      // a stream that this session waits for has moved
inline constexpr uint32 kSignalEverything = 2;  // look at all of them

// Starts a wait of this session for the streams with these keys (see stream_name_key).
// Returns how many were registered; the rest is up to the recheck.
int begin_wait(const uint64 *keys, int count);
// Ends it; safe to call when none is active, and from abort and exit callbacks.
void end_wait();
// Ends it if it began in a subtransaction of this nesting level or deeper: one that a policy's function rolls back is
// not ours.
void end_wait_of_level(int level);
// What has been signalled since the last call.
uint32 take_signals();

// For transaction ends and the worker: wakes the sessions that wait for a stream, or all of a database.
int wake_stream(uint64 key);
int wake_database(Oid database);  // InvalidOid: of every database

int count_waiters(uint64 key);
int count_database_waiters(Oid database);

}  // namespace rill
