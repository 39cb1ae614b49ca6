// See policy_plan.hpp.
//
// Policies are not interpreted here: the server's rewriter attaches them. No SELECT carries the policies of UPDATE (or
// DELETE) alone, and an UPDATE with a WHERE clause carries those of SELECT too. So a plain `UPDATE stream SET …`
// without WHERE is rewritten, and the result is turned into the query above: its security barrier quals stay, its
// WITH CHECK options join them, and the rest is replaced.
//
// The server's plan cache keeps the query and its plan. It knows what they depend on (relations, functions, types,
// operators, search_path, the role, row_security), takes the locks, and keeps reference counts. What it cannot do is
// rebuild our query, since it starts from a parse tree. The tree that we give it is that of a query that reads no table
// and returns no row, and so allows nothing. When the cache returns that query's plan, ours was out of date, and we
// prepare the query again. Not every release's plan cache watches memberships of roles, by which policies are chosen:
// rights_generation() does.
//
// Must survive: invalidations that arrive at any point (debug_discard_caches), policies whose functions run during
// planning and call us again, errors during planning, and a `stream` that is no longer an ordinary table.
#include "tables/policy_plan.hpp"

#include "tables/catalog.hpp"

namespace rill {

namespace {

constexpr char kReadsNothing[] = "SELECT false WHERE false";

struct KeptPlan {
    CachedPlanSource *source;  // null: the slot is free
    CmdType command;
    Oid user;
    uint64 generation;  // rights_generation() before the query was built
};
// A session that changes roles, as behind a pooler, tends to return to earlier ones.
constexpr int kMaxKept = 32;
KeptPlan kept[kMaxKept];
int next_slot = 0;

// The transaction in which a kept plan is being prepared. Planning can run the functions of a policy, which may call us
// again: they must not replace that plan. After an error this stays set until the transaction ends.
LocalTransactionId making = InvalidLocalTransactionId;

LocalTransactionId current_transaction() {
    VirtualTransactionId transaction;
    GET_VXID_FROM_PGPROC(transaction, *MyProc);
    return transaction.localTransactionId;
}

const char *source_of(CmdType command) {
    const char *table = quote_qualified_identifier(get_namespace_name(tables().schema), "stream");
    switch (command) {
    case CMD_SELECT:
        return psprintf("SELECT stream_id FROM ONLY %s", table);
    case CMD_UPDATE:
        return psprintf("UPDATE ONLY %s SET name = DEFAULT", table);
    case CMD_DELETE:
        return psprintf("DELETE FROM ONLY %s", table);
    case CMD_INSERT:
        return psprintf("INSERT INTO %s DEFAULT VALUES", table);
    default:
        elog(ERROR, "unexpected command %d for a policy of table stream", static_cast<int>(command));
    }
}

Node *is_parameter(int relation, AttrNumber column) {
    auto *parameter = makeNode(Param);
    parameter->paramkind = PARAM_EXTERN;
    parameter->paramid = 1;
    parameter->paramtype = INT8OID;
    parameter->paramtypmod = -1;
    parameter->location = -1;
    auto *equal = makeNode(OpExpr);
    equal->opno = lookup_type_cache(INT8OID, TYPECACHE_EQ_OPR)->eq_opr;
    equal->opfuncid = F_INT8EQ;
    equal->opresulttype = BOOLOID;
    equal->args = list_make2(makeVar(relation, column, INT8OID, -1, InvalidOid, 0), parameter);
    equal->location = -1;
    return reinterpret_cast<Node *>(equal);
}

Query *policy_query(CmdType command) {
    const char *source = source_of(command);
    List *raw = pg_parse_query(source);
    List *queries = pg_analyze_and_rewrite_fixedparams(linitial_node(RawStmt, raw), source, nullptr, 0, nullptr);
    // A rule can rewrite it into other queries, into several, or into none.
    Query *query = list_length(queries) == 1 ? linitial_node(Query, queries) : nullptr;
    const int target = query == nullptr ? 0 : command == CMD_SELECT ? 1 : query->resultRelation;
    RangeTblEntry *table = target == 0 ? nullptr : rt_fetch(target, query->rtable);
    if (command == CMD_INSERT && table != nullptr && query->jointree->fromlist == NIL) {
        auto *reference = makeNode(RangeTblRef);  // an INSERT does not read its table; our query does
        reference->rtindex = target;
        query->jointree->fromlist = list_make1(reference);
        table->inFromCl = true;
    }
    if (table == nullptr || query->commandType != command || table->rtekind != RTE_RELATION ||
        table->relid != tables().stream || list_length(query->jointree->fromlist) != 1)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("rules on table \"stream\" of pg_rill are not supported"),
                        errhint("Drop the rule; use a policy or a trigger instead.")));

    // A row that would not pass WITH CHECK unchanged may not be changed.
    ListCell *cell;
    foreach (cell, query->withCheckOptions)
        table->securityQuals = lappend(table->securityQuals, lfirst_node(WithCheckOption, cell)->qual);
    query->withCheckOptions = NIL;
    query->commandType = CMD_SELECT;
    query->resultRelation = 0;
    query->returningList = NIL;
    query->targetList =
        list_make1(makeTargetEntry(reinterpret_cast<Expr *>(makeBoolConst(true, false)), 1, pstrdup("allowed"), false));
    query->jointree->quals = is_parameter(target, kStreamId);
    table->rellockmode = AccessShareLock;
    // The executor still checks the command's privilege, which the caller is known to have.
    return query;
}

CachedPlanSource *prepare(CmdType command) {
    Query *query = policy_query(command);
    CachedPlanSource *source =
        CreateCachedPlan(linitial_node(RawStmt, pg_parse_query(kReadsNothing)), kReadsNothing, CMDTAG_SELECT);
    Oid types[1] = {INT8OID};
    CompleteCachedPlan(source, list_make1(query), nullptr, types, 1, nullptr, nullptr, 0, false);
    SaveCachedPlan(source);
    return source;
}

// The slot of this command and user, else a free one, else the next one to be evicted.
KeptPlan *find_slot(CmdType command) {
    KeptPlan *unused = nullptr;
    for (KeptPlan &plan : kept) {
        if (plan.source == nullptr)
            unused = &plan;
        else if (plan.command == command && plan.user == GetUserId())
            return &plan;
    }
    if (unused == nullptr) {
        unused = &kept[next_slot];
        next_slot = (next_slot + 1) % kMaxKept;
    }
    return unused;
}

// Null when the plan cache returned the placeholder's plan instead of our query's.
PlannedStmt *planned(const KeptPlan &plan) {
    CachedPlan *cached = GetCachedPlan(plan.source, nullptr, CurrentResourceOwner, nullptr);
    auto *statement = linitial_node(PlannedStmt, cached->stmt_list);
    if (statement->relationOids != NIL)
        return statement;
    ReleaseCachedPlan(cached, CurrentResourceOwner);
    return nullptr;
}

}  // namespace

PlannedStmt *policy_plan(CmdType command) {
    PlannedStmt *statement = nullptr;
    if (making != current_transaction()) {
        making = current_transaction();
        KeptPlan *plan = find_slot(command);
        if (plan->source != nullptr && plan->command == command && plan->user == GetUserId() &&
            plan->generation == rights_generation() && CachedPlanIsValid(plan->source)) {
            statement = planned(*plan);  // may wait for locks, and accepts invalidations then
            if (plan->generation != rights_generation())
                statement = nullptr;
        }
        if (statement == nullptr) {
            if (CachedPlanSource *old = plan->source) {
                plan->source = nullptr;
                DropCachedPlan(old);
            }
            const uint64 generation = rights_generation();
            CachedPlanSource *source = prepare(command);
            *plan = {source, command, GetUserId(), generation};
            statement = planned(*plan);
        }
        making = InvalidLocalTransactionId;
    }
    // The locks are held, so a plan made now is as valid as that of any query.
    return statement != nullptr ? statement : pg_plan_query(policy_query(command), kReadsNothing, 0, nullptr);
}

}  // namespace rill
