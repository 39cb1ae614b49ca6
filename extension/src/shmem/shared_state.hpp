// The shared memory of pg_rill, put together from the parts in this folder, and what is fixed at server start.
// `shared` is null when the library was not preloaded: every mechanism then works without shared memory (ids from the
// index, no wake-ups), and nothing is lost.
// Must survive: any backend killed at any point (the server reinitializes shared memory), full tables (each part says
// what happens then), and sessions that never detach.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

// Set up at server start, read-only afterwards.
struct SharedState {
    uint64 run;  // random for this start of this server
    // Wait events.
    uint32 stream_wait;
    uint32 notifier_main;
    uint32 launcher_main;
};
extern SharedState *shared;

void install_shmem_hooks();

// Raises 55000 with a hint that says what to set; `what` completes "pg_rill must be loaded ... to ...".
void require_shared(const char *what);

// 32 bits that tell this run of this server, and this stream, from all others (DESIGN section 5).
int32 epoch_of(Oid chunk_table, int64 stream_id);

// For the parts: attaches to the area of this name, zeroed when it is new. Returns whether it is new.
template <typename T>
bool attach_area(const char *name, Size size, T **area) {
    static_assert(std::is_trivially_destructible_v<T>);
    bool found;
    *area = static_cast<T *>(ShmemInitStruct(name, size, &found));
    if (!found)
        memset(static_cast<void *>(*area), 0, size);
    return !found;
}

// Sizes of tables that are masked instead of divided.
inline int power_of_two_at_least(int n) { return static_cast<int>(pg_nextpower2_32(static_cast<uint32>(n))); }

// Sets the latch of the process with this index into ProcGlobal->allProcs; -1 is none. If that process has exited and
// another one now has its index, that one wakes once without need.
inline void set_latch_of(int proc) {
    if (proc >= 0)
        SetLatch(&GetPGProcByNumber(proc)->procLatch);
}

}  // namespace rill
