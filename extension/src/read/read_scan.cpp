// Runs the plan node of read_scan.hpp.
//
// Why it is right. The function looks up its stream once, under a snapshot S taken when its first row is asked for, and
// scans after that; so does this node, and S stays registered until the scan ends: what S decided stays decided, rows
// that S shows cannot be vacuumed, and so it does not matter how long the rows take to be fetched (chunk_scan.hpp; the
// scan began after S).
//
// Must survive: cursors that are left open, read on after other commands, held past COMMIT or rolled back to a
// savepoint (what is held belongs to the portal's resource owner, as an index scan's things do); rows appended, trimmed
// or deleted between two fetches; rescans, which repeat the same rows unless an argument has changed; a LIMIT that ends
// it early; EXPLAIN, which must not read; a wait for the first chunk.
#include "read/read_scan.hpp"

#include "base/boundary.hpp"
#include "base/pg_compat.hpp"
#include "read/lookup.hpp"
#include "read/read_arguments.hpp"
#include "read/stable_prefix_scan.hpp"
#include "wake/wait_loop.hpp"

namespace rill::read_scan {

namespace {

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

ReadScan *state_of(void *node) { return static_cast<ReadScan *>(node); }

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
    const ReadArguments arguments = read_arguments(fcinfo);
    Request request = make_request(arguments.name, arguments.cursor);
    const Requests requests = {&request, 1};
    (void) wait_until(wait_keys(requests), requests.count, arguments.timeout, nullptr, [&] {
        const auto start = [&](Request *, int, int) {
            const MemoryContext old = MemoryContextSwitchTo(read->snapshot.memory());
            read->prefix.start(&read->snapshot, request.stream, request.hint, request.cursor, arguments.caps);
            read->open = read->first = read->prefix.next();
            if (read->open)
                read->snapshot.keep();
            MemoryContextSwitchTo(old);
            return read->open ? Served::some : Served::nothing;
        };
        return look_up(requests, &read->snapshot, start, Hints::cached, context->ecxt_per_query_memory) &&
               has_answer(requests);
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
    ReadScan *read = state_of(node);
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

// Never called: see replaceable_call().
bool rill_read_scan_recheck(ScanState *, TupleTableSlot *) {
    elog(ERROR, "cannot recheck single rows of a stream read");
}

TupleTableSlot *rill_read_scan_next(CustomScanState *node) {
    return ExecScan(&node->ss, rill_read_scan_access, rill_read_scan_recheck);
}

// As the server's function scan does, also when only the plan is to be shown: may the caller call the function?
void rill_read_scan_init(CustomScanState *node, EState *state, int) {
    ReadScan *read = state_of(node);
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

void rill_read_scan_end(CustomScanState *node) { finish(state_of(node)); }

// Like a function scan: the same rows again, unless an argument may have changed.
void rill_read_scan_again(CustomScanState *node) {
    ReadScan *read = state_of(node);
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

extern "C" Node *rill_read_scan_state(CustomScan *) {
    auto *read = static_cast<ReadScan *>(palloc0(sizeof(ReadScan)));
    NodeSetTag(read, T_CustomScanState);
    read->css.methods = &exec_methods;
    return reinterpret_cast<Node *>(read);
}

}  // namespace

const CustomScanMethods scan_methods = {kNodeName, rill_read_scan_state};

}  // namespace rill::read_scan
