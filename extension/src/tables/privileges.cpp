// See privileges.hpp.
// Policies are not interpreted here: the server's own rewriter attaches them. To ask only
// for the UPDATE (or DELETE) policies, with no SELECT policy mixed in, a plain
// `UPDATE stream SET ...` without WHERE is rewritten, and the result is turned into
// `SELECT true FROM stream WHERE stream_id = $1` with exactly those policies as its security
// barrier quals. Plans are kept until any invalidation of a relation, function or role.
// Must survive: policies with subqueries, GUC-dependent policies (evaluated each time),
// policies that raise errors, changes of role inside a transaction.
#include "tables/privileges.hpp"

#include "tables/catalog.hpp"
#include "base/pg_compat.hpp"

namespace rill {

namespace {

struct {
    uint64 generation;
    Oid user;
    AclMode granted;  // known to be granted
} known = {0, InvalidOid, 0};

struct PolicyPlan {
    MemoryContext context;
    PlannedStmt *statement;
    uint64 generation;
    Oid user;
};
PolicyPlan plans[4];  // by command, see plan_index()

int plan_index(CmdType command) {
    switch (command) {
    case CMD_SELECT:
        return 0;
    case CMD_UPDATE:
        return 1;
    case CMD_DELETE:
        return 2;
    default:
        elog(ERROR, "unexpected command %d for a policy of table stream", static_cast<int>(command));
    }
}

const char *policy_source(CmdType command) {
    const char *table = quote_qualified_identifier(get_namespace_name(tables().schema), "stream");
    switch (command) {
    case CMD_SELECT:
        return psprintf("SELECT stream_id FROM ONLY %s", table);
    case CMD_UPDATE:
        return psprintf("UPDATE ONLY %s SET name = DEFAULT", table);
    default:
        return psprintf("DELETE FROM ONLY %s", table);
    }
}

Query *rewritten(const char *source) {
    List *raw = pg_parse_query(source);
    List *queries = pg_analyze_and_rewrite_fixedparams(linitial_node(RawStmt, raw), source, nullptr, 0, nullptr);
    if (list_length(queries) != 1)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("rules on table \"stream\" of pg_rill are not supported"),
                        errhint("Drop the rule; use a policy or a trigger instead.")));
    return linitial_node(Query, queries);
}

PlannedStmt *plan_policy(CmdType command) {
    const char *source = policy_source(command);
    Query *query = rewritten(source);
    const int target = command == CMD_SELECT ? 1 : query->resultRelation;
    auto *table = rt_fetch(target, query->rtable);

    // What an ordinary UPDATE of this row, changing nothing that policies may use, would be checked for.
    ListCell *cell;
    foreach (cell, query->withCheckOptions)
        table->securityQuals = lappend(table->securityQuals, lfirst_node(WithCheckOption, cell)->qual);
    query->withCheckOptions = NIL;
    query->commandType = CMD_SELECT;
    query->resultRelation = 0;
    query->returningList = NIL;
    query->targetList =
        list_make1(makeTargetEntry(reinterpret_cast<Expr *>(makeBoolConst(true, false)), 1, pstrdup("allowed"), false));
    table->rellockmode = AccessShareLock;
    // The privilege that the executor checks stays the command's own: the caller has it by now.

    auto *column = makeVar(target, kStreamId, INT8OID, -1, InvalidOid, 0);
    auto *wanted = makeNode(Param);
    wanted->paramkind = PARAM_EXTERN;
    wanted->paramid = 1;
    wanted->paramtype = INT8OID;
    wanted->paramtypmod = -1;
    wanted->location = -1;
    auto *same = makeNode(OpExpr);
    same->opno = lookup_type_cache(INT8OID, TYPECACHE_EQ_OPR)->eq_opr;
    same->opfuncid = F_INT8EQ;
    same->opresulttype = BOOLOID;
    same->args = list_make2(column, wanted);
    same->location = -1;
    query->jointree->quals = reinterpret_cast<Node *>(same);

    return pg_plan_query(query, source, 0, nullptr);
}

// Locks what the plan reads, as the plan cache would; a policy may have subqueries.
void lock_plan(const PlannedStmt *statement) {
    ListCell *cell;
    foreach (cell, statement->rtable) {
        const auto *entry = lfirst_node(RangeTblEntry, cell);
        if (entry->rtekind == RTE_RELATION)
            LockRelationOid(entry->relid, entry->rellockmode);
    }
}

PlannedStmt *policy_plan(CmdType command) {
    PolicyPlan *plan = &plans[plan_index(command)];
    for (;;) {
        if (plan->statement != nullptr && plan->generation == plan_generation() && plan->user == GetUserId()) {
            lock_plan(plan->statement);
            if (plan->generation == plan_generation())
                return plan->statement;
        }
        plan->statement = nullptr;
        if (plan->context == nullptr)
            plan->context = AllocSetContextCreate(TopMemoryContext, "pg_rill policy plan", ALLOCSET_SMALL_SIZES);
        else
            MemoryContextReset(plan->context);
        const uint64 generation = plan_generation();
        PlannedStmt *fresh = plan_policy(command);
        MemoryContext old = MemoryContextSwitchTo(plan->context);
        plan->statement = static_cast<PlannedStmt *>(copyObjectImpl(fresh));
        MemoryContextSwitchTo(old);
        plan->generation = generation;
        plan->user = GetUserId();
    }
}

}  // namespace

bool has_privilege(AclMode mode) {
    const Oid user = GetUserId();
    const Oid table = tables().stream;
    if (known.generation != rights_generation() || known.user != user)
        known = {rights_generation(), user, 0};
    if ((known.granted & mode) != 0)
        return true;
    if (pg_class_aclcheck(table, user, mode) != ACLCHECK_OK)
        return false;
    known.granted |= mode;
    return true;
}

void require_privilege(AclMode mode) {
    if (!has_privilege(mode))
        aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, "stream");
}

bool policies_apply() {
    return tables().row_security && check_enable_rls(tables().stream, InvalidOid, false) == RLS_ENABLED;
}

bool policy_allows(CmdType command, int64 stream_id, Snapshot snapshot) {
    // A copy: a policy's own functions may come back here and replace the kept plan.
    auto *statement = static_cast<PlannedStmt *>(copyObjectImpl(policy_plan(command)));
    ParamListInfo parameters = makeParamList(1);
    parameters->params[0].value = Int64GetDatum(stream_id);
    parameters->params[0].isnull = false;
    parameters->params[0].pflags = PARAM_FLAG_CONST;
    parameters->params[0].ptype = INT8OID;
    PushActiveSnapshot(snapshot);
    QueryDesc *query = CreateQueryDesc(statement, "pg_rill policy check", GetActiveSnapshot(), InvalidSnapshot,
                                       None_Receiver, parameters, nullptr, 0);
    ExecutorStart(query, 0);
    run_to_completion(query, 1);
    const bool allowed = query->estate->es_processed > 0;
    ExecutorFinish(query);
    ExecutorEnd(query);
    FreeQueryDesc(query);
    PopActiveSnapshot();
    return allowed;
}

namespace {

bool may(AclMode privilege, CmdType command, int64 stream_id) {
    if (!has_privilege(privilege))
        return false;
    if (!policies_apply())
        return true;
    const Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
    const bool allowed = policy_allows(command, stream_id, snapshot);
    UnregisterSnapshot(snapshot);
    return allowed;
}

}  // namespace

bool may_change(int64 stream_id) { return may(ACL_UPDATE, CMD_UPDATE, stream_id); }
bool may_delete(int64 stream_id) { return may(ACL_DELETE, CMD_DELETE, stream_id); }

void refuse_stream(const char *name, int size) {
    ereport(ERROR,
            (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied for stream \"%.*s\"", size, name),
             errhint("It takes rights on the stream's row in table \"stream\", and policies that let it through.")));
    pg_unreachable();
}

}  // namespace rill
