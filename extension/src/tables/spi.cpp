// See spi.hpp.
#include "tables/spi.hpp"

#include "base/pg_compat.hpp"
#include "tables/catalog.hpp"

namespace rill {

const char *qualified_table(const char *name) {
    return quote_qualified_identifier(get_namespace_name(tables().schema), name);
}

bool SqlRow::is_null(int column) const {
    bool isnull;
    (void) SPI_getbinval(tuple_, desc_, column, &isnull);
    return isnull;
}

int64 SqlRow::int8(int column) const {
    bool isnull;
    const Datum value = SPI_getbinval(tuple_, desc_, column, &isnull);
    return isnull ? 0 : DatumGetInt64(value);
}

text *SqlRow::copy_text(int column, MemoryContext context) const {
    bool isnull;
    const Datum value = SPI_getbinval(tuple_, desc_, column, &isnull);
    const MemoryContext old = MemoryContextSwitchTo(context);
    text *copy = isnull ? nullptr : DatumGetTextPCopy(value);
    MemoryContextSwitchTo(old);
    return copy;
}

namespace {

constexpr int kMaxParameters = 12;

SPIPlanPtr kept_plan(KeptPlan *kept, const char *source, int count, Oid *types) {
    // The text changes when the schema is renamed. The old text's plan is not freed: a trigger may have renamed the
    // schema while that plan is running further up the stack.
    if (kept->plan == nullptr || strcmp(kept->source, source) != 0) {
        const uint64 generation = rights_generation();
        SPIPlanPtr plan = SPI_prepare_cursor(source, count, types, CURSOR_OPT_GENERIC_PLAN);
        if (plan == nullptr || SPI_keepplan(plan) != 0)
            elog(ERROR, "cannot prepare \"%s\": %s", source, SPI_result_code_string(SPI_result));
        *kept = {plan, MemoryContextStrdup(TopMemoryContext, source), generation};
    }
    // Policies are chosen by memberships of roles, which not every release's plan cache watches.
    if (kept->generation != rights_generation()) {
        kept->generation = rights_generation();
        ListCell *cell;
        foreach (cell, SPI_plan_get_plan_sources(kept->plan))
            static_cast<CachedPlanSource *>(lfirst(cell))->is_valid = false;
    }
    return kept->plan;
}

}  // namespace

uint64 run_sql(const char *source, const SqlValue *values, int count, int expected, RowFunction row, void *state,
               KeptPlan *kept) {
    Oid types[kMaxParameters];
    Datum datums[kMaxParameters];
    char nulls[kMaxParameters + 1] = {};
    Assert(count <= kMaxParameters);
    for (int i = 0; i < count; ++i) {
        types[i] = values[i].type;
        datums[i] = values[i].value;
        nulls[i] = values[i].isnull ? 'n' : ' ';
    }
    if (SPI_connect() != SPI_OK_CONNECT)
        elog(ERROR, "SPI_connect failed");
    // Not where forced row-level security is waived, as in an OwnerScope: a plan made there would lack the policies.
    const int result = kept != nullptr && !InNoForceRLSOperation()
                           ? SPI_execute_plan(kept_plan(kept, source, count, types), datums, nulls, false, 0)
                           : SPI_execute_with_args(source, count, types, datums, nulls, false, 0);
    if (result != expected)
        elog(ERROR, "unexpected result of \"%s\": %s", source, SPI_result_code_string(result));
    const uint64 touched = SPI_processed;
    if (row != nullptr && SPI_tuptable != nullptr)
        for (uint64 i = 0; i < touched; ++i)
            row(state, SqlRow(SPI_tuptable->vals[i], SPI_tuptable->tupdesc));
    SPI_finish();
    return touched;
}

namespace {

enum class Triggers : bool { none, immediate };

void change_triggers(ResultRelInfo *relation, Triggers triggers) {
    if (triggers == Triggers::none)
        relation->ri_TrigDesc = nullptr;
    TriggerDesc *const list = relation->ri_TrigDesc;
    for (int i = 0; list != nullptr && i < list->numtriggers; ++i)
        list->triggers[i].tgdeferrable = list->triggers[i].tginitdeferred = false;
}

// SPI has no option for this, so this does what _SPI_execute_plan does, plus the line that changes the triggers. The
// executor takes triggers only from ResultRelInfo: row and statement triggers when it fires them, deferred ones, such
// as those of foreign keys, when it would queue them (commands/trigger.c).
uint64 run_plan(const char *source, const SqlValue *values, int count, KeptPlan *kept, Triggers triggers,
                DestReceiver *receiver) {
    Oid types[kMaxParameters];
    const ParamListInfo parameters = makeParamList(count);
    Assert(count <= kMaxParameters && InNoForceRLSOperation());
    for (int i = 0; i < count; ++i) {
        types[i] = values[i].type;
        parameters->params[i] = {values[i].value, values[i].isnull, PARAM_FLAG_CONST, values[i].type};
    }
    if (SPI_connect() != SPI_OK_CONNECT)
        elog(ERROR, "SPI_connect failed");
    SPIPlanPtr plan = kept != nullptr ? kept_plan(kept, source, count, types) : SPI_prepare(source, count, types);
    if (plan == nullptr)
        elog(ERROR, "cannot prepare \"%s\": %s", source, SPI_result_code_string(SPI_result));
    const ResourceOwner plan_owner = kept != nullptr ? CurrentResourceOwner : nullptr;
    CachedPlan *cached = GetCachedPlan(linitial_node(CachedPlanSource, SPI_plan_get_plan_sources(plan)), parameters,
                                       plan_owner, nullptr);
    if (list_length(cached->stmt_list) != 1)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("rules on the tables of pg_rill are not supported"), errhint("Drop the rule.")));
    CommandCounterIncrement();
    PushActiveSnapshot(GetTransactionSnapshot());
    QueryDesc *query = CreateQueryDesc(linitial_node(PlannedStmt, cached->stmt_list), source, GetActiveSnapshot(),
                                       InvalidSnapshot, receiver, parameters, nullptr, 0);
    ExecutorStart(query, 0);
    ListCell *cell;
    foreach (cell, query->estate->es_opened_result_relations)
        change_triggers(static_cast<ResultRelInfo *>(lfirst(cell)), triggers);
    fetch_rows(query, 0);
    const uint64 touched = query->estate->es_processed;
    ExecutorFinish(query);
    ExecutorEnd(query);
    FreeQueryDesc(query);
    PopActiveSnapshot();
    CommandCounterIncrement();
    ReleaseCachedPlan(cached, plan_owner);
    SPI_finish();
    return touched;
}

}  // namespace

uint64 run_without_triggers(const char *source, const SqlValue *values, int count, KeptPlan *kept) {
    return run_plan(source, values, count, kept, Triggers::none, None_Receiver);
}

// The executor frees what a SELECT returns when it ends, so the row goes through a tuplestore.
void delete_returning(const char *source, std::initializer_list<SqlValue> values, int64 *results, int columns) {
    Tuplestorestate *const store = tuplestore_begin_heap(false, false, work_mem);
    DestReceiver *const receiver = CreateDestReceiver(DestTuplestore);
    SetTuplestoreDestReceiverParams(receiver, store, CurrentMemoryContext, false, nullptr, nullptr);
    (void) run_plan(source, values.begin(), static_cast<int>(values.size()), nullptr, Triggers::immediate, receiver);
    const TupleDesc desc = CreateTemplateTupleDesc(columns);
    for (int i = 1; i <= columns; ++i)
        TupleDescInitEntry(desc, static_cast<AttrNumber>(i), nullptr, INT8OID, -1, 0);
    TupleTableSlot *const slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
    const bool any = tuplestore_gettupleslot(store, true, false, slot);
    for (int i = 0; i < columns; ++i) {
        bool isnull = true;
        const Datum value = any ? slot_getattr(slot, i + 1, &isnull) : static_cast<Datum>(0);
        results[i] = isnull ? 0 : DatumGetInt64(value);
    }
    ExecDropSingleTupleTableSlot(slot);
    tuplestore_end(store);
    receiver->rDestroy(receiver);
}

OwnerScope::OwnerScope(Oid table) {
    GetUserIdAndSecContext(&user_, &context_);
    const HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
    if (!HeapTupleIsValid(tuple))
        elog(ERROR, "cache lookup failed for relation %u", table);
    const Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner;
    ReleaseSysCache(tuple);
    SetUserIdAndSecContext(owner, context_ | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION |
                                      SECURITY_NOFORCE_RLS);
    settings_ = NewGUCNestLevel();
}

// As after index expressions in maintenance commands: settings that the owner's code has changed, search_path above
// all, must not be those of the caller's next statements. After an error the transaction's abort does the same.
void OwnerScope::leave() const {
    AtEOXact_GUC(false, settings_);
    SetUserIdAndSecContext(user_, context_);
}

}  // namespace rill
