// What the launcher shares: how to wake it, and the current pass of the one retention worker.
#pragma once
#include "core/failures.hpp"
#include "shmem/retention_queue.hpp"

namespace rill {

// How the retention worker's pass over one database ended, as reported to the launcher.
enum class PassResult : uint32 {
    failed,         // the worker has not reported anything else
    not_installed,  // no extension there
    tables_locked,  // another session holds a lock on the tables
    finished,       // everything has had its turn
    unfinished,     // its time was up
};
// Where the next pass continues.
struct PassPosition {
    TimestampTz due_at;  // streams that became due later, or at this time and have a higher id, are next
    int64 due_id;
    Walk walk;  // the walk that is under way
    int64 walked_through;
    int64 purged_through;
    bool try_again;  // some stream that was passed over is to be tried again after the interval
};
inline constexpr PassPosition kPassStart = {DT_NOBEGIN, PG_INT64_MIN, Walk::none, PG_INT64_MIN, PG_INT64_MIN, false};
struct RetentionPass {
    Oid database;
    PassPosition position;
    PassResult result;
    int64 stream;     // that is being worked on; 0: none
    bool took_queue;  // streams that were taken out of the queue have not all been worked on
    int64 next_in;    // us until something is due; kNever: nothing is scheduled
    core::Failures failures;
};

struct LauncherState {
    slock_t mutex;  // protects the rest
    int proc;       // index into ProcGlobal->allProcs, -1: no launcher
    int pid;
    int retention_pid;  // of the retention worker; 0: none
    RetentionPass retention_pass;
};
extern LauncherState *launcher_state;  // null without shared memory

// The calling process is the launcher from now until it exits.
void become_launcher();
void wake_launcher();

// The calling process is the retention worker from now until it exits.
void become_retention_worker();
// Its process id; 0: there is none.
int retention_worker_pid();

void request_launcher_state();
void attach_launcher_state();

}  // namespace rill
