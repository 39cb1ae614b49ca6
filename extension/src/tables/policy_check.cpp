// See policy_check.hpp.
//
// Why a rescan sees the next stream, although the server does not learn that the parameter changed: the plan is a scan
// of table stream alone, since sublinks in policies are never pulled up into joins. The scan recomputes its keys and
// its filter at each rescan, and a sublink that depends on the row gets the row's columns as parameters of its own.
// Sublinks that do not depend on the row are computed once, as in any query over many rows.
//
// Who owns what: the executor belongs to the caller's resource owner, as the locks that a policy's functions take must
// outlive it. The plan and the locks on what it reads belong to a separate owner, released by end(): a session that
// waits for a stream under policies must not block ALTER POLICY, and every session queued behind that.
//
// Must survive: policies whose functions call pg_rill again (those calls have checks of their own), change the role
// (the rest is checked against the new role's policies), or raise errors (the transaction's abort cleans up).
#include "tables/policy_check.hpp"

#include "base/pg_compat.hpp"
#include "tables/policy_plan.hpp"

namespace rill {

void PolicyCheck::begin(CmdType command, Snapshot snapshot, MemoryContext memory) {
    command_ = command;
    snapshot_ = snapshot;
    memory_ = AllocSetContextCreate(memory, "pg_rill policy check", ALLOCSET_DEFAULT_SIZES);
    start();
}

void PolicyCheck::start() {
    const MemoryContext old = MemoryContextSwitchTo(memory_);
    user_ = GetUserId();
    PushActiveSnapshot(snapshot_);
    const ResourceOwner caller = CurrentResourceOwner;
    plan_owner_ = ResourceOwnerCreate(caller, "pg_rill policy check");
    CurrentResourceOwner = plan_owner_;
    PlannedStmt *plan = policy_plan(command_);
    CurrentResourceOwner = caller;

    parameters_ = makeParamList(1);
    parameters_->params[0].pflags = 0;
    parameters_->params[0].ptype = INT8OID;
    query_ = CreateQueryDesc(plan, "pg_rill policy check", GetActiveSnapshot(), InvalidSnapshot, None_Receiver,
                             parameters_, nullptr, 0);
    ExecutorStart(query_, 0);
    PopActiveSnapshot();
    ran_ = false;
    MemoryContextSwitchTo(old);
}

bool PolicyCheck::allows(int64 stream_id) {
    if (user_ != GetUserId()) {
        stop();
        MemoryContextReset(memory_);
        start();
    }
    const MemoryContext old = MemoryContextSwitchTo(memory_);
    parameters_->params[0].value = Int64GetDatum(stream_id);
    parameters_->params[0].isnull = false;
    PushActiveSnapshot(snapshot_);
    if (ran_)
        ExecutorRewind(query_);
    ran_ = true;
    fetch_rows(query_, 1);
    const bool allowed = query_->estate->es_processed > 0;
    PopActiveSnapshot();
    MemoryContextSwitchTo(old);
    return allowed;
}

void PolicyCheck::stop() {
    ExecutorFinish(query_);
    ExecutorEnd(query_);
    FreeQueryDesc(query_);
    ResourceOwnerRelease(plan_owner_, RESOURCE_RELEASE_BEFORE_LOCKS, false, false);
    ResourceOwnerRelease(plan_owner_, RESOURCE_RELEASE_LOCKS, false, false);
    ResourceOwnerRelease(plan_owner_, RESOURCE_RELEASE_AFTER_LOCKS, false, false);
    ResourceOwnerDelete(plan_owner_);
}

void PolicyCheck::end() {
    stop();
    MemoryContextDelete(memory_);
}

}  // namespace rill
