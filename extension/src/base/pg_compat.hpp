// Every difference between PostgreSQL 15, 16, 17 and 18, under one name each.
// No other file of the tree may test PG_VERSION_NUM.
#pragma once
#include "base/postgres_api.hpp"

#if PG_VERSION_NUM < 150000
#error "pg_rill needs PostgreSQL 15 or newer"
#endif

#if PG_VERSION_NUM >= 170000
extern "C" {
#include "utils/wait_event.h"
}
#endif

// From libpq/libpq.h, which would want the headers of Kerberos and OpenSSL: the set that the server reads and writes
// the client's socket with, null in a background process; the socket is its event 0 in every version.
extern "C" {
extern PGDLLIMPORT WaitEventSet *FeBeWaitSet;
}

#if PG_VERSION_NUM >= 180000
extern "C" {
#include "commands/explain_format.h"
#include "commands/explain_state.h"
}
#endif

#if PG_VERSION_NUM >= 180000
#define RILL_MODULE_MAGIC PG_MODULE_MAGIC_EXT(.name = "pg_rill", .version = RILL_VERSION)
#else
#define RILL_MODULE_MAGIC PG_MODULE_MAGIC
#endif

namespace rill {

// Materialize-mode set-returning function; the result goes to ->setResult.
inline ReturnSetInfo *begin_srf(FunctionCallInfo fcinfo) {
#if PG_VERSION_NUM >= 160000
    InitMaterializedSRF(fcinfo, 0);
#else
    SetSingleFuncCall(fcinfo, 0);
#endif
    return reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
}

inline IndexScanDesc begin_index_scan(Relation heap, Relation index, Snapshot snapshot, int nkeys) {
#if PG_VERSION_NUM >= 180000
    return index_beginscan(heap, index, snapshot, nullptr, nkeys, 0);
#else
    return index_beginscan(heap, index, snapshot, nkeys, 0);
#endif
}

inline AclResult function_aclcheck(Oid function, AclMode mode) {
#if PG_VERSION_NUM >= 160000
    return object_aclcheck(ProcedureRelationId, function, GetUserId(), mode);
#else
    return pg_proc_aclcheck(function, GetUserId(), mode);
#endif
}

// Walkers are declared without their arguments up to 15, and through macros that cast from 16 on.
using TreeWalker = bool (*)(Node *node, void *context);
inline bool walk_expression(Node *node, TreeWalker walker, void *context) {
#if PG_VERSION_NUM >= 160000
    return expression_tree_walker(node, walker, context);
#else
    return expression_tree_walker(node, reinterpret_cast<bool (*)()>(reinterpret_cast<void *>(walker)), context);
#endif
}
inline bool walk_query(Query *query, TreeWalker walker, void *context, int flags) {
#if PG_VERSION_NUM >= 160000
    return query_tree_walker(query, walker, context, flags);
#else
    return query_tree_walker(query, reinterpret_cast<bool (*)()>(reinterpret_cast<void *>(walker)), context, flags);
#endif
}

// Whether the current user is the relation's owner, a member of that role, or a superuser.
inline bool owns_relation(Oid relation) {
#if PG_VERSION_NUM >= 160000
    return object_ownercheck(RelationRelationId, relation, GetUserId());
#else
    return pg_class_ownercheck(relation, GetUserId());
#endif
}

// Whether the current user may VACUUM, ANALYZE, CLUSTER and REINDEX this relation only since MAINTAIN on it was granted
// to a role of his: he owns neither it nor the database, and maintains not all tables (pg_maintain).
inline bool maintains_by_grant([[maybe_unused]] Oid relation) {
#if PG_VERSION_NUM >= 170000
    const Oid user = GetUserId();
    return !owns_relation(relation) && pg_class_aclcheck(relation, user, ACL_MAINTAIN) == ACLCHECK_OK &&
           !object_ownercheck(DatabaseRelationId, MyDatabaseId, user) && !has_privs_of_role(user, ROLE_PG_MAINTAIN);
#else
    return false;
#endif
}

// Functions that need MAINTAIN on a table, change its statistics, and keep the lock of ANALYZE until the transaction
// ends.
inline bool changes_statistics([[maybe_unused]] Oid function) {
#if PG_VERSION_NUM >= 180000
    return function == F_PG_RESTORE_RELATION_STATS || function == F_PG_CLEAR_RELATION_STATS ||
           function == F_PG_RESTORE_ATTRIBUTE_STATS || function == F_PG_CLEAR_ATTRIBUTE_STATS;
#else
    return false;
#endif
}

// One of these lets a user LOCK a table in any mode.
#if PG_VERSION_NUM >= 170000
inline constexpr AclMode kLockRights = ACL_UPDATE | ACL_DELETE | ACL_TRUNCATE | ACL_MAINTAIN;
#else
inline constexpr AclMode kLockRights = ACL_UPDATE | ACL_DELETE | ACL_TRUNCATE;
#endif

// Ascending order by an expression of this relation, as far as the query cares for it; no outer join is below.
inline List *ascending_by(PlannerInfo *root, const RelOptInfo *rel, Expr *expression, Oid less) {
#if PG_VERSION_NUM >= 160000
    return build_expression_pathkey(root, expression, less, rel->relids, false);
#else
    return build_expression_pathkey(root, expression, nullptr, less, rel->relids, false);
#endif
}

// This backend's index into ProcGlobal->allProcs.
inline int my_proc_number() {
#if PG_VERSION_NUM >= 170000
    return MyProcNumber;
#else
    return MyProc->pgprocno;
#endif
}

// Entries of a new row in all indexes of the relation that are open, with their checks.
inline List *insert_index_tuples(ResultRelInfo *relation, TupleTableSlot *slot, EState *estate) {
#if PG_VERSION_NUM >= 160000
    return ExecInsertIndexTuples(relation, slot, estate, false, false, nullptr, NIL, false);
#else
    return ExecInsertIndexTuples(relation, slot, estate, false, false, nullptr, NIL);
#endif
}

// HOLD_INTERRUPTS() and RESUME_INTERRUPTS() without ++ and --, which C++20 deprecates for volatile variables.
inline void hold_interrupts() { InterruptHoldoffCount = InterruptHoldoffCount + 1; }
inline void resume_interrupts() { InterruptHoldoffCount = InterruptHoldoffCount - 1; }

inline int proc_number_of(PGPROC *proc) {
#if PG_VERSION_NUM >= 170000
    return GetNumberFromPGProc(proc);
#else
    return proc->pgprocno;
#endif
}

// Counts transactions that have ended, replayed ones on a standby included: moves after an end can be seen by new
// snapshots (ProcArrayEndTransaction, ExpireTreeKnownAssignedTransactionIds).
inline uint64 ended_transactions() {
    LWLockAcquire(ProcArrayLock, LW_SHARED);
#if PG_VERSION_NUM >= 170000
    const uint64 count = TransamVariables->xactCompletionCount;
#else
    const uint64 count = ShmemVariableCache->xactCompletionCount;
#endif
    LWLockRelease(ProcArrayLock);
    return count;
}

// A wait event of this name, which pg_stat_activity shows from 17 on. Before that, and when others have taken all
// custom wait events, it is the server's own "Extension". To be called at server start: only while no other process can
// take one is it certain that WaitEventExtensionNew() finds one and raises no error.
inline uint32 allocate_wait_event(const char *name) {
#if PG_VERSION_NUM >= 170000
    constexpr int kMaxEvents = 127;  // WAIT_EVENT_CUSTOM_HASH_MAX_SIZE - 1, of both classes together
    int taken = 0;
    for (const uint32 wait_class : {PG_WAIT_EXTENSION, PG_WAIT_INJECTIONPOINT}) {
        int count = 0;
        char **names = GetWaitEventCustomNames(wait_class, &count);
        for (int i = 0; i < count; ++i)
            pfree(names[i]);
        pfree(names);
        taken += count;
    }
    if (taken < kMaxEvents)
        return WaitEventExtensionNew(name);
#endif
    (void) name;
    return PG_WAIT_EXTENSION;
}

// The settings that can end a transaction of a background process.
inline constexpr const char *kTransactionTimeouts[] = {
    "lock_timeout",
#if PG_VERSION_NUM >= 170000
    "transaction_timeout",
#endif
};

// May be called again, after ExecutorRewind() too.
inline void fetch_rows(QueryDesc *query, uint64 max_rows) {
#if PG_VERSION_NUM >= 180000
    ExecutorRun(query, ForwardScanDirection, max_rows);
#else
    ExecutorRun(query, ForwardScanDirection, max_rows, false);
#endif
}

inline bool interval_is_infinite([[maybe_unused]] const Interval *value, [[maybe_unused]] bool *negative) {
#if PG_VERSION_NUM >= 170000
    *negative = INTERVAL_IS_NOBEGIN(value);
    return INTERVAL_NOT_FINITE(value);
#else
    return false;
#endif
}

}  // namespace rill
