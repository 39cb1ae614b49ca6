// Puts the plan node of read_scan.hpp into plans. Where it is not put (the select list, ROWS FROM of several, WITH
// ORDINALITY, whole rows, row locks), the function itself (read.cpp) runs, with the same rows and errors.
//
// Must survive: ALTER FUNCTION and DROP EXTENSION under a cached plan (the plan depends on the function); another
// function of that name, or ours behind SECURITY DEFINER, SET or another extension's hook.
#include "read/read_scan.hpp"

#include "base/pg_compat.hpp"

extern "C" PGDLLEXPORT Datum pg_rill_read_since(PG_FUNCTION_ARGS);

namespace rill {

namespace {

using namespace read_scan;

constexpr Oid kTypes[kColumns] = {INT8OID, BYTEAOID, BOOLOID, TIMESTAMPTZOID, INT4OID};

set_rel_pathlist_hook_type next_hook = nullptr;

// Whether this calls the C function below with nothing in between.
bool calls_read_since(const FuncExpr *call) {
    if (call->funcid < FirstNormalObjectId || call->funcresulttype != RECORDOID || !call->funcretset ||
        call->funcvariadic || list_length(call->args) != kArguments)
        return false;
    const HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(call->funcid));
    if (!HeapTupleIsValid(tuple))
        return false;
    static const Oid kTaken[kArguments] = {TEXTOID, INT8OID, INT4OID, INT8OID, INTERVALOID};
    const auto *form = reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple));
    bool ours = form->prolang == ClanguageId && form->pronargs == kArguments && !form->proisstrict &&
                memcmp(form->proargtypes.values, kTaken, sizeof(kTaken)) == 0;
    if (ours) {
        bool isnull;
        const Datum symbol = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull);
        ours = !isnull && strcmp(TextDatumGetCString(symbol), "pg_rill_read_since") == 0;
    }
    ReleaseSysCache(tuple);
    if (!ours)
        return false;
    // Looked up as for a call, this also tells whether it is of this very library, and that neither SECURITY DEFINER
    // nor SET nor another extension's hook comes before it: then the address would be another.
    FmgrInfo function;
    fmgr_info(call->funcid, &function);
    if (function.fn_addr != pg_rill_read_since)
        return false;
    TupleDesc columns = nullptr;
    if (get_expr_result_type(const_cast<Node *>(reinterpret_cast<const Node *>(call)), nullptr, &columns) !=
            TYPEFUNC_COMPOSITE ||
        columns->natts != kColumns)
        return false;
    for (int i = 0; i < kColumns; ++i)
        if (TupleDescAttr(columns, i)->atttypid != kTypes[i])
            return false;
    return true;
}

// Whole rows are made by the server's function scan alone. What joins need of this relation is in its target list.
bool wants_whole_rows(const RelOptInfo *rel) {
    Bitmapset *wanted = nullptr;
    pull_varattnos(reinterpret_cast<Node *>(rel->reltarget->exprs), rel->relid, &wanted);
    pull_varattnos(reinterpret_cast<Node *>(extract_actual_clauses(rel->baserestrictinfo, false)), rel->relid, &wanted);
    const int lowest = bms_next_member(wanted, -1);
    return lowest >= 0 && lowest + FirstLowInvalidHeapAttributeNumber <= 0;
}

const FuncExpr *replaceable_call(PlannerInfo *root, const RelOptInfo *rel, const RangeTblEntry *table) {
    // With row locks, UPDATE, DELETE and MERGE a row may be checked again on its own (EvalPlanQual).
    if (table->rtekind != RTE_FUNCTION || table->funcordinality || list_length(table->functions) != 1 ||
        root->rowMarks != NIL)
        return nullptr;
    const auto *function = linitial_node(RangeTblFunction, table->functions);
    if (!IsA(function->funcexpr, FuncExpr) || function->funccolnames != NIL)
        return nullptr;
    const auto *call = reinterpret_cast<const FuncExpr *>(function->funcexpr);
    // Which parameters a subplan depends on is not told to a custom scan.
    if (!calls_read_since(call) || contain_subplans(reinterpret_cast<Node *>(call->args)) || wants_whole_rows(rel))
        return nullptr;
    return call;
}

// Chunks come in the order of their ids: ORDER BY chunk_id takes no sort.
List *order_of(PlannerInfo *root, const RelOptInfo *rel) {
    ListCell *cell;
    foreach (cell, rel->reltarget->exprs) {
        auto *column = static_cast<Var *>(lfirst(cell));
        if (IsA(column, Var) && column->varattno == kId && column->varno == static_cast<int>(rel->relid) &&
            column->varlevelsup == 0)
            return ascending_by(root, rel, reinterpret_cast<Expr *>(column), Int8LessOperator);
    }
    return NIL;
}

extern "C" {

Plan *rill_plan_read_scan(PlannerInfo *, RelOptInfo *rel, CustomPath *path, List *targets, List *clauses, List *) {
    auto *scan = makeNode(CustomScan);
    scan->scan.plan.targetlist = targets;
    scan->scan.plan.qual = extract_actual_clauses(clauses, false);
    scan->flags = path->flags;
    // The call itself, not only its arguments: so the plan depends on the function, and EXPLAIN can show it.
    scan->custom_exprs = list_copy(path->custom_private);
    for (AttrNumber n = 1; n <= kColumns; ++n) {
        auto *column = makeVar(static_cast<int>(rel->relid), n, kTypes[n - 1], -1, InvalidOid, 0);
        scan->custom_scan_tlist =
            lappend(scan->custom_scan_tlist, makeTargetEntry(reinterpret_cast<Expr *>(column), n, nullptr, false));
    }
    scan->methods = &scan_methods;
    return &scan->scan.plan;
}

}  // extern "C"

const CustomPathMethods path_methods = {kNodeName, rill_plan_read_scan, nullptr};

extern "C" void rill_choose_read_scan(PlannerInfo *root, RelOptInfo *rel, Index index, RangeTblEntry *table) {
    if (next_hook != nullptr)
        next_hook(root, rel, index, table);
    const FuncExpr *call = replaceable_call(root, rel, table);
    if (call == nullptr)
        return;
    ListCell *cell;
    foreach (cell, rel->pathlist) {
        const auto *path = static_cast<const Path *>(lfirst(cell));
        if (path->pathtype != T_FunctionScan)
            continue;
        auto *custom = makeNode(CustomPath);
        custom->path = *path;  // as many rows at the same price
        custom->path.type = T_CustomPath;
        custom->path.pathtype = T_CustomScan;
        custom->path.pathkeys = order_of(root, rel);
        custom->flags = CUSTOMPATH_SUPPORT_PROJECTION;
        custom->custom_private = list_make1(const_cast<FuncExpr *>(call));
        custom->methods = &path_methods;
        lfirst(cell) = custom;
    }
}

}  // namespace

void install_read_scan() {
    RegisterCustomScanMethods(&scan_methods);
    next_hook = set_rel_pathlist_hook;
    set_rel_pathlist_hook = rill_choose_read_scan;
}

}  // namespace rill
