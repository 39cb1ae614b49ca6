// Which session waits for which streams.
// A waiter registers first, then checks the tables, then sleeps; a writer makes its commit visible first, then looks
// for waiters. Registering and taking a snapshot, and leaving the proc array, all pass a full barrier, so one of the
// two sees the other.
// Full: a session that finds no free entry waits unregistered; its recheck finds the chunk.
// Must survive: errors and cancels in the middle of a wait (the abort callback ends it), and one session that waits for
// many streams.
#pragma once
#include "shmem/shared_state.hpp"

namespace rill {

inline constexpr uint32 kSignalStream = 1;      // a stream that this session waits for has changed
inline constexpr uint32 kSignalEverything = 2;  // check all of them
inline constexpr uint32 kSignalInterrupt = 4;   // end this wait

// Starts a wait of this session for the streams with these keys (StreamName::key).
// Returns how many were registered; the others are left to the recheck.
int begin_wait(const uint64 *keys, int count);
// Ends it; safe to call when none is active, and from abort and exit callbacks.
void end_wait();
// Ends it if it began in a subtransaction of this nesting level or deeper: rolling back a policy's function that waits
// must not end the wait around it.
void end_wait_of_level(int level);
// What has been signalled since the last call. Only during a wait.
uint32 take_signals();
// Signals kSignalInterrupt to the session in this place of the proc array, if it is this process and waits now. Returns
// whether it did; else nothing is left behind.
bool interrupt_wait(int proc, int pid);

// For transaction ends and the notifier: wakes the sessions that wait for a stream, or all of a database. Returns how
// many entries it found.
int wake_stream(uint64 key);
int wake_database(Oid database);  // InvalidOid: of every database

int waiting_sessions();  // in the whole server
int count_waiters(uint64 key);
int count_database_waiters(Oid database);

void request_wait_list();
void attach_wait_list();

}  // namespace rill
