// See launcher_state.hpp.
#include "shmem/launcher_state.hpp"

#include "base/pg_compat.hpp"

namespace rill {

LauncherState *launcher_state = nullptr;

namespace {

extern "C" void rill_launcher_exit(int, Datum) {
    SpinLockAcquire(&launcher_state->mutex);
    if (launcher_state->pid == MyProcPid) {
        launcher_state->pid = 0;
        launcher_state->proc = -1;
    }
    SpinLockRelease(&launcher_state->mutex);
}

extern "C" void rill_retention_exit(int, Datum) {
    SpinLockAcquire(&launcher_state->mutex);
    if (launcher_state->retention_pid == MyProcPid)
        launcher_state->retention_pid = 0;
    SpinLockRelease(&launcher_state->mutex);
}

}  // namespace

void request_launcher_state() { RequestAddinShmemSpace(sizeof(LauncherState)); }

void attach_launcher_state() {
    if (!attach_area("pg_rill launcher", sizeof(LauncherState), &launcher_state))
        return;
    SpinLockInit(&launcher_state->mutex);
    launcher_state->proc = -1;
}

void become_launcher() {
    SpinLockAcquire(&launcher_state->mutex);
    launcher_state->pid = MyProcPid;
    launcher_state->proc = my_proc_number();
    SpinLockRelease(&launcher_state->mutex);
    before_shmem_exit(rill_launcher_exit, 0);
}

void become_retention_worker() {
    SpinLockAcquire(&launcher_state->mutex);
    launcher_state->retention_pid = MyProcPid;
    SpinLockRelease(&launcher_state->mutex);
    before_shmem_exit(rill_retention_exit, 0);
}

int retention_worker_pid() {
    SpinLockAcquire(&launcher_state->mutex);
    const int pid = launcher_state->retention_pid;
    SpinLockRelease(&launcher_state->mutex);
    return pid;
}

void wake_launcher() {
    SpinLockAcquire(&launcher_state->mutex);
    const int proc = launcher_state->proc;
    SpinLockRelease(&launcher_state->mutex);
    set_latch_of(proc);
}

}  // namespace rill
