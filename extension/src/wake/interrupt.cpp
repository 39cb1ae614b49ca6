// stream_interrupt: ends another session's wait, as if its timeout had come. For programs whose set of streams changes
// while their one connection waits.
// Who may: whoever may cancel that session's query (pg_signal_backend() in the server's signalfuncs.c). Between the
// look at the proc array and the signal the session can end and another one take its place, under another role: so the
// signal is stored only for the process id whose rights were checked (shmem/wait_list.cpp).
// Must survive: a session that is not waiting, stops waiting, or ends at the same moment; one in another database; one
// of a background process, which has no role; a prepared transaction's entry in the proc array (its process id is 0).
#include "base/boundary.hpp"
#include "base/pg_compat.hpp"
#include "base/arguments.hpp"
#include "shmem/wait_list.hpp"

namespace rill {

namespace {

void require_right_to_signal(Oid role) {
    const bool superusers = !OidIsValid(role) || superuser_arg(role);
    if (superusers ? superuser()
                   : has_privs_of_role(GetUserId(), role) || has_privs_of_role(GetUserId(), ROLE_PG_SIGNAL_BACKEND))
        return;
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied to interrupt a wait"),
                    superusers ? errdetail("Only superusers may interrupt the waits of superusers.")
                               : errdetail("Only members of the role whose session is waiting, or of role "
                                           "pg_signal_backend, may interrupt its waits.")));
}

}  // namespace

}  // namespace rill

// stream_interrupt(pid int) returns boolean
RILL_FUNCTION(pg_rill_interrupt) {
    using namespace rill;
    if (PG_ARGISNULL(0))
        refuse_null("pid");
    const int pid = PG_GETARG_INT32(0);
    if (pid < 1)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("argument \"pid\" must be at least 1: %d", pid),
                 errhint("Specify what pg_backend_pid() returns in the session that waits.")));
    require_shared("interrupt a wait");
    PGPROC *proc = BackendPidGetProc(pid);
    if (proc == nullptr)
        PG_RETURN_BOOL(false);
    require_right_to_signal(proc->roleId);
    PG_RETURN_BOOL(interrupt_wait(proc_number_of(proc), pid));
}
