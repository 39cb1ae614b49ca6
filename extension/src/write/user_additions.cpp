// See user_additions.hpp. This does what ExecInsert() does for a row, in three parts.
#include "write/user_additions.hpp"

#include "base/pg_compat.hpp"
#include "tables/catalog.hpp"
#include "tables/spi.hpp"

namespace rill {

namespace {

bool fires(const Trigger &trigger) {
    const char quiet =
        SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA ? TRIGGER_FIRES_ON_ORIGIN : TRIGGER_FIRES_ON_REPLICA;
    return TRIGGER_FOR_INSERT(trigger.tgtype) && trigger.tgenabled != quiet && trigger.tgenabled != TRIGGER_DISABLED &&
           !is_own_trigger(trigger.tgfoid);
}

bool find_plain(Relation table, int columns) {
    if (const TriggerDesc *triggers = table->trigdesc)
        for (int i = 0; i < triggers->numtriggers; ++i)
            if (fires(triggers->triggers[i]))
                return false;
    const TupleConstr *constraints = table->rd_att->constr;
    if (RelationGetDescr(table)->natts != columns || table->rd_rel->relispartition ||
        (constraints != nullptr && (constraints->num_check > 0 || constraints->has_generated_stored)))
        return false;
    if (!table->rd_indexvalid)
        list_free(RelationGetIndexList(table));
    return list_length(table->rd_indexlist) == 1;
}

// A generated column cannot have a value before what it is generated from.
void refuse_late_columns(Relation table, const bool *late, int columns) {
    const TupleConstr *constraints = table->rd_att->constr;
    for (int i = 0; constraints != nullptr && constraints->has_generated_stored && i < constraints->num_defval; ++i) {
        const AttrNumber column = constraints->defval[i].adnum;
        const auto *attribute = TupleDescAttr(RelationGetDescr(table), column - 1);
        if (attribute->attgenerated != ATTRIBUTE_GENERATED_STORED)
            continue;
        Bitmapset *used = nullptr;
        pull_varattnos(static_cast<Node *>(stringToNode(constraints->defval[i].adbin)), 1, &used);
        for (int k = 0; k < columns; ++k)
            if (late[k] && bms_is_member(k + 1 - FirstLowInvalidHeapAttributeNumber, used))
                ereport(ERROR,
                        (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                         errmsg("stored generated column \"%s\" of table \"%s\" must not depend on column \"%s\"",
                                NameStr(attribute->attname), RelationGetRelationName(table),
                                NameStr(TupleDescAttr(RelationGetDescr(table), k)->attname)),
                         errdetail("Generated columns are computed before the chunk has an id and a time."),
                         errhint("Drop the column, and compute its value in a view or an AFTER trigger.")));
        bms_free(used);
    }
}

}  // namespace

bool is_plain(Relation table, int columns) {
    // Kept for both tables that rows are appended to, as long as nothing has changed about them.
    static struct {
        uint64 generation;
        int role;
        Oid table;
        bool plain;
    } kept[2] = {{0, 0, InvalidOid, false}, {0, 0, InvalidOid, false}};
    auto *const entry = &kept[RelationGetRelid(table) == tables().chunk ? 0 : 1];
    const uint64 generation = rights_generation();
    if (entry->generation != generation || entry->role != SessionReplicationRole ||
        entry->table != RelationGetRelid(table))
        *entry = {generation, SessionReplicationRole, RelationGetRelid(table), find_plain(table, columns)};
    return entry->plain;
}

void UserAdditions::begin(Relation table, int columns, const bool *late, const KeyIndexes &keys) {
    table_ = table;
    columns_ = columns;
    refuse_late_columns(table, late, columns);
    const OwnerScope owner(RelationGetRelid(table));
    estate_ = CreateExecutorState();
    const MemoryContext old = MemoryContextSwitchTo(estate_->es_query_cxt);
    estate_->es_output_cid = GetCurrentCommandId(true);
    result_ = makeNode(ResultRelInfo);
    InitResultRelInfo(result_, table, 0, nullptr, 0);
    skip_own_triggers();
    estate_->es_opened_result_relations = lappend(estate_->es_opened_result_relations, result_);
    ExecOpenIndices(result_, false);
    skip_indexes(keys);
    prepare_defaults();
    new_ = ExecInitExtraTupleSlot(estate_, RelationGetDescr(table), &TTSOpsVirtual);
    stored_ = ExecInitExtraTupleSlot(estate_, RelationGetDescr(table), &TTSOpsHeapTuple);
    AfterTriggerBeginQuery();
    transition_ = MakeTransitionCaptureState(result_->ri_TrigDesc, RelationGetRelid(table), CMD_INSERT);
    ExecBSInsertTriggers(estate_, result_);
    MemoryContextSwitchTo(old);
    owner.leave();
}

// ResultRelInfo has its own copy of the triggers. Ours are for rows that others write. Deferred ones would run at the
// commit, as whoever commits, and so let the owner run code as a superuser: the server refuses to queue them in a
// security-restricted operation. They run at the end of the append, which checks deferred constraints.
void UserAdditions::skip_own_triggers() {
    TriggerDesc *const triggers = result_->ri_TrigDesc;
    int kept = 0;
    for (int i = 0; triggers != nullptr && i < triggers->numtriggers; ++i) {
        Trigger &trigger = triggers->triggers[i];
        if (is_own_trigger(trigger.tgfoid))
            continue;
        trigger.tgdeferrable = trigger.tginitdeferred = false;
        triggers->triggers[kept++] = trigger;
    }
    if (triggers != nullptr)
        triggers->numtriggers = kept;
}

void UserAdditions::skip_indexes(const KeyIndexes &keys) {
    int kept = 0;
    for (int i = 0; i < result_->ri_NumIndices; ++i) {
        const Relation index = result_->ri_IndexRelationDescs[i];
        if (keys.contains(RelationGetRelid(index))) {
            index_close(index, RowExclusiveLock);
            continue;
        }
        result_->ri_IndexRelationDescs[kept] = index;
        result_->ri_IndexRelationInfo[kept++] = result_->ri_IndexRelationInfo[i];
    }
    result_->ri_NumIndices = kept;
}

void UserAdditions::prepare_defaults() {
    const TupleDesc desc = RelationGetDescr(table_);
    defaults_ = static_cast<ExprState **>(palloc0(sizeof(ExprState *) * static_cast<Size>(desc->natts)));
    for (int i = columns_; i < desc->natts; ++i) {
        const auto *attribute = TupleDescAttr(desc, i);
        if (attribute->attisdropped || attribute->attgenerated != '\0')
            continue;
        if (Node *expression = build_column_default(table_, i + 1); expression != nullptr)
            defaults_[i] = ExecPrepareExpr(reinterpret_cast<Expr *>(expression), estate_);
    }
}

void UserAdditions::fill_defaults(TupleTableSlot *slot) {
    const TupleDesc desc = RelationGetDescr(table_);
    ExprContext *const context = GetPerTupleExprContext(estate_);
    for (int i = columns_; i < desc->natts; ++i) {
        const auto *attribute = TupleDescAttr(desc, i);
        if (defaults_[i] != nullptr)
            slot->tts_values[i] = ExecEvalExprSwitchContext(defaults_[i], context, &slot->tts_isnull[i]);
        else if (!attribute->attisdropped && attribute->attgenerated == '\0' &&
                 get_typtype(attribute->atttypid) == TYPTYPE_DOMAIN)
            domain_check(0, true, attribute->atttypid, nullptr, nullptr);  // may refuse null
    }
}

void UserAdditions::check_unchanged(TupleTableSlot *slot, const Datum *values, const bool *nulls,
                                    const bool *late) const {
    const TupleDesc desc = RelationGetDescr(table_);
    slot_getallattrs(slot);
    for (int i = 0; i < columns_; ++i) {
        const auto *attribute = TupleDescAttr(desc, i);
        const bool null = late[i] || nulls[i];
        if (slot->tts_isnull[i] == null &&
            (null || datum_image_eq(slot->tts_values[i], values[i], attribute->attbyval, attribute->attlen)))
            continue;
        ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                        errmsg("a BEFORE trigger on table \"%s\" must not change column \"%s\"",
                               RelationGetRelationName(table_), NameStr(attribute->attname)),
                        errhint("Triggers may set columns that users have added. To refuse a row, raise an error.")));
    }
}

HeapTuple UserAdditions::complete(const Datum *values, const bool *nulls, const bool *late) {
    const OwnerScope owner(RelationGetRelid(table_));
    const TupleDesc desc = RelationGetDescr(table_);
    TupleTableSlot *const slot = new_;
    ExecClearTuple(slot);
    memset(slot->tts_isnull, true, sizeof(bool) * static_cast<Size>(desc->natts));
    for (int i = 0; i < columns_; ++i) {
        slot->tts_values[i] = values[i];
        slot->tts_isnull[i] = late[i] || nulls[i];
    }
    fill_defaults(slot);
    ExecStoreVirtualTuple(slot);
    if (result_->ri_TrigDesc != nullptr && result_->ri_TrigDesc->trig_insert_before_row) {
        if (!ExecBRInsertTriggers(estate_, result_, slot))
            ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                            errmsg("a BEFORE trigger on table \"%s\" returned null for a row that is being appended",
                                   RelationGetRelationName(table_)),
                            errhint("An append is never left out silently. To refuse a row, raise an error.")));
        check_unchanged(slot, values, nulls, late);
    }
    if (desc->constr != nullptr && desc->constr->has_generated_stored)
        ExecComputeStoredGenerated(result_, estate_, slot, CMD_INSERT);
    slot_getallattrs(slot);
    for (int i = 0; i < columns_; ++i)
        if (late[i]) {
            slot->tts_values[i] = 0;
            slot->tts_isnull[i] = false;
        }
    const HeapTuple tuple = heap_form_tuple(desc, slot->tts_values, slot->tts_isnull);
    ExecClearTuple(slot);
    ResetPerTupleExprContext(estate_);
    owner.leave();
    return tuple;
}

void UserAdditions::check(HeapTuple tuple) {
    const OwnerScope owner(RelationGetRelid(table_));
    TupleTableSlot *const slot = stored_;
    ExecStoreHeapTuple(tuple, slot, false);
    if (table_->rd_att->constr != nullptr)
        ExecConstraints(result_, slot, estate_);
    if (table_->rd_rel->relispartition)
        (void) ExecPartitionCheck(result_, slot, estate_, true);
    List *recheck = result_->ri_NumIndices > 0 ? insert_index_tuples(result_, slot, estate_) : NIL;
    ExecARInsertTriggers(estate_, result_, slot, recheck, transition_);
    list_free(recheck);
    ExecClearTuple(slot);
    ResetPerTupleExprContext(estate_);
    owner.leave();
}

void UserAdditions::end(bool stored) {
    const OwnerScope owner(RelationGetRelid(table_));
    if (stored)
        ExecASInsertTriggers(estate_, result_, transition_);
    AfterTriggerEndQuery(estate_);
    ExecCloseIndices(result_);
    ExecResetTupleTable(estate_->es_tupleTable, false);
    FreeExecutorState(estate_);
    owner.leave();
}

}  // namespace rill
