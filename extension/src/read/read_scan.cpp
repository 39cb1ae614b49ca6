// `FROM stream_read_since(...)` without a tuplestore: a custom scan in place of the server's function scan, which keeps
// every row of a function before it hands out the first. Where it is not put (the select list, ROWS FROM of several,
// WITH ORDINALITY, whole rows, row locks), the function itself (read.cpp) runs, with the same rows and errors.
//
// Why it is right. The function looks once, under a snapshot S taken when its first row is asked for, and scans after
// that; so does this node, and S stays registered until the scan ends: what S decided stays decided, rows that S shows
// cannot be vacuumed, and so it does not matter how long the rows take to be fetched (chunk_scan.hpp; the scan began
// after S).
//
// Must survive: cursors that are left open, read on after other commands, held past COMMIT or rolled back to a
// savepoint (what is held belongs to the portal's resource owner, as an index scan's things do); rows appended, trimmed
// or deleted between two fetches; rescans, which repeat the same rows unless an argument has changed; a LIMIT that ends
// it early; EXPLAIN, which must not read; ALTER FUNCTION and DROP EXTENSION under a cached plan; a wait for the first
// chunk.
#include "read/read_scan.hpp"

#include "base/boundary.hpp"
#include "base/pg_compat.hpp"
#include "read/read.hpp"
#include "wake/wait_loop.hpp"

extern "C" PGDLLEXPORT Datum pg_rill_read_since(PG_FUNCTION_ARGS);

namespace rill {

namespace {

constexpr int kArguments = 5;
constexpr const char *kNodeName = "StreamReadSince";

enum Column : AttrNumber { kId = 1, kData, kEof, kAppendedAt, kEpoch, kColumns = kEpoch };
constexpr Oid kTypes[kColumns] = {INT8OID, BYTEAOID, BOOLOID, TIMESTAMPTZOID, INT4OID};

struct ReadScan {
    CustomScanState css;  // first: the executor's pointer is ours
    FmgrInfo function;
    FunctionCallInfo call;
    ExprState *arguments[kArguments];  // null for a constant, which stands in `call`
    Bitmapset *parameters;             // executor parameters that the arguments depend on
    bool begun;
    bool open;   // snapshot and prefix are in use; not after `begun` found nothing
    bool first;  // prefix stands on the first chunk, which has not been handed out
    bool ended;  // every chunk of the prefix has been
    ReadSnapshot snapshot;
    StablePrefixScan prefix;
};
static_assert(std::is_trivially_destructible_v<ReadScan>);

// ---- execution

ReadScan *read_scan(void *node) { return static_cast<ReadScan *>(node); }

// What the function does first: its arguments, and the wait for the first chunk.
void begin(ReadScan *read) {
    ExprContext *context = read->css.ss.ps.ps_ExprContext;
    FunctionCallInfo fcinfo = read->call;
    // What this call leaves behind goes with the row. What stays is made in the query's own memory.
    const MemoryContext outer = MemoryContextSwitchTo(context->ecxt_per_tuple_memory);
    for (int i = 0; i < kArguments; ++i)
        if (read->arguments[i] != nullptr)
            fcinfo->args[i].value = ExecEvalExpr(read->arguments[i], context, &fcinfo->args[i].isnull);

    PgStat_FunctionCallUsage usage;
    pgstat_init_function_usage(fcinfo, &usage);
    const ReadRequest request = read_arguments(fcinfo);
    (void) wait_until(&request.name.key, 1, request.timeout, nullptr, [&] {
        const MemoryContext lasting = context->ecxt_per_query_memory;
        return look_for_first(request, &read->snapshot, lasting, [&](const VisibleStream &stream, bool found) {
            read->prefix.start(&read->snapshot, stream, request.cursor, request.caps, found);
            return read->open = read->first = read->prefix.next();
        });
    });
    pgstat_end_function_usage(&usage, true);
    read->begun = true;
    MemoryContextSwitchTo(outer);
}

void finish(ReadScan *read) {
    if (read->open)
        read->snapshot.end();
    read->begun = read->open = read->first = read->ended = false;
}

bool next_chunk(ReadScan *read) {
    if (!read->begun)
        at_boundary([&] { begin(read); });
    if (!read->open || read->ended)
        return false;
    if (read->first) {
        read->first = false;
        return true;
    }
    // The scan takes index entries along by the page. While it was left lying one of them may have been vacuumed and
    // its place taken by a later row, which it must not stop at: a fresh scan tells.
    if (read->prefix.next() || read->prefix.recheck_end())
        return true;
    read->prefix.note_readable();
    read->ended = true;
    return false;
}

extern "C" {

// The row's values stay in the buffer that the snapshot's scan has pinned, as those of an index scan do.
TupleTableSlot *rill_read_scan_access(ScanState *node) {
    ReadScan *read = read_scan(node);
    TupleTableSlot *slot = node->ss_ScanTupleSlot;
    ExecClearTuple(slot);
    if (!next_chunk(read))
        return slot;
    const ChunkScan &chunk = read->prefix.chunk();
    slot->tts_values[kData - 1] = chunk.data();
    slot->tts_values[kId - 1] = Int64GetDatum(chunk.id());
    slot->tts_values[kEof - 1] = BoolGetDatum(chunk.eof());
    slot->tts_values[kAppendedAt - 1] = TimestampTzGetDatum(chunk.appended_at());
    slot->tts_values[kEpoch - 1] = Int32GetDatum(chunk.epoch());
    return ExecStoreVirtualTuple(slot);
}

// Never asked: see replaceable_call().
bool rill_read_scan_recheck(ScanState *, TupleTableSlot *) {
    elog(ERROR, "a read of a stream cannot be checked again row by row");
}

TupleTableSlot *rill_read_scan_next(CustomScanState *node) {
    return ExecScan(&node->ss, rill_read_scan_access, rill_read_scan_recheck);
}

// As the server's function scan does, also when only the plan is to be shown: may the caller call the function?
void rill_read_scan_init(CustomScanState *node, EState *state, int) {
    ReadScan *read = read_scan(node);
    auto *call = linitial_node(FuncExpr, reinterpret_cast<CustomScan *>(node->ss.ps.plan)->custom_exprs);
    if (const AclResult allowed = function_aclcheck(call->funcid, ACL_EXECUTE); allowed != ACLCHECK_OK)
        aclcheck_error(allowed, OBJECT_FUNCTION, get_func_name(call->funcid));
    InvokeFunctionExecuteHook(call->funcid);
    fmgr_info_cxt(call->funcid, &read->function, state->es_query_cxt);
    read->call = static_cast<FunctionCallInfo>(palloc0(SizeForFunctionCallInfo(kArguments)));
    InitFunctionCallInfoData(*read->call, &read->function, kArguments, call->inputcollid, nullptr, nullptr);
    for (int i = 0; i < kArguments; ++i) {
        auto *argument = static_cast<Expr *>(list_nth(call->args, i));
        if (IsA(argument, Const)) {
            const auto *value = reinterpret_cast<const Const *>(argument);
            read->call->args[i] = {value->constvalue, value->constisnull};
        } else
            read->arguments[i] = ExecInitExpr(argument, &node->ss.ps);
    }
    read->parameters = pull_paramids(reinterpret_cast<Expr *>(call->args));
}

void rill_read_scan_end(CustomScanState *node) { finish(read_scan(node)); }

// Like a function scan: the same rows again, unless an argument may have changed.
void rill_read_scan_again(CustomScanState *node) {
    ReadScan *read = read_scan(node);
    if (bms_overlap(node->ss.ps.chgParam, read->parameters))
        finish(read);
    else if (read->open) {
        read->first = read->ended = false;
        read->prefix.rewind();
    }
    ExecScanReScan(&node->ss);
}

void rill_read_scan_explain(CustomScanState *node, List *ancestors, ExplainState *es) {
    const auto *plan = reinterpret_cast<CustomScan *>(node->ss.ps.plan);
    List *context = set_deparse_context_plan(es->deparse_cxt, node->ss.ps.plan, ancestors);
    auto *call = static_cast<Node *>(linitial(plan->custom_exprs));
    ExplainPropertyText("Function Call", deparse_expression(call, context, es->verbose, false), es);
}

Node *rill_read_scan_state(CustomScan *);

}  // extern "C"

const CustomExecMethods exec_methods = {
    kNodeName,
    rill_read_scan_init,
    rill_read_scan_next,
    rill_read_scan_end,
    rill_read_scan_again,
    nullptr,
    nullptr,  // mark and restore: not supported
    nullptr,
    nullptr,
    nullptr,
    nullptr,
    nullptr,  // parallel workers: the function is not for them
    rill_read_scan_explain,
};
const CustomScanMethods scan_methods = {kNodeName, rill_read_scan_state};

extern "C" Node *rill_read_scan_state(CustomScan *) {
    auto *read = static_cast<ReadScan *>(palloc0(sizeof(ReadScan)));
    NodeSetTag(read, T_CustomScanState);
    read->css.methods = &exec_methods;
    return reinterpret_cast<Node *>(read);
}

// ---- planning

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
