// What the launcher shares: how to wake it, and the current pass of the one retention worker.
#pragma once
#include "shmem/shared_state.hpp"

namespace rill {

// How the retention worker's pass over one database ended, as reported to the launcher.
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

struct LauncherState {
    slock_t mutex;  // protects the rest
    int proc;       // index into ProcGlobal->allProcs, -1: no launcher
    int pid;
    RetentionPass retention_pass;
};
extern LauncherState *launcher_state;  // null without shared memory

// The calling process is the launcher from now until it exits.
void become_launcher();
void wake_launcher();

void request_launcher_state();
void attach_launcher_state();

}  // namespace rill
