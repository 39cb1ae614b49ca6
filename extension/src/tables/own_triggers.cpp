// See own_triggers.hpp.
#include "tables/own_triggers.hpp"

#include "tables/spi.hpp"

namespace rill {

namespace {

// As the install script leaves it: what it fires for, and when.
struct OwnTrigger {
    const char *table;
    const char *function;
    int16 events;
    char enabled;
};
// A DELETE needs no report: ids do not go down, and where an EOF was the id cache asks the table in any case.
constexpr int16 kLoaded = TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_TRUNCATE;
constexpr int16 kReplicated = TRIGGER_TYPE_ROW | TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE;
constexpr int16 kChanged = TRIGGER_TYPE_ROW | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE;
constexpr int16 kGuard =
    TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE | TRIGGER_TYPE_TRUNCATE;
constexpr OwnTrigger kOwn[] = {
    {"stream", "stream_changed", kChanged, TRIGGER_FIRES_ALWAYS},
    {"stream", "stream_guard", kGuard, TRIGGER_FIRES_ALWAYS},
    {"stream_chunk", "stream_loaded", kLoaded, TRIGGER_FIRES_ALWAYS},
    {"stream_chunk", "stream_replicated", kReplicated, TRIGGER_FIRES_ON_REPLICA},
    {"stream_state", "stream_loaded", kLoaded, TRIGGER_FIRES_ALWAYS},
    {"stream_state", "stream_replicated", kReplicated, TRIGGER_FIRES_ON_REPLICA},
};
constexpr const char *kFunctions[] = {"stream_changed", "stream_guard", "stream_loaded", "stream_replicated"};
static_assert(lengthof(kFunctions) == lengthof(Tables::own_triggers));

Oid trigger_function(const char *name, Oid schema, Oid extension) {
    const Oid function = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(name),
                                         PointerGetDatum(buildoidvector(nullptr, 0)), ObjectIdGetDatum(schema));
    const bool ours = OidIsValid(function) && getExtensionOfObject(ProcedureRelationId, function) == extension;
    return ours ? function : InvalidOid;
}

// Calls visit(tuple, form, desc) for each trigger of a table.
template <typename Visit>
void visit_triggers(Oid table, Visit visit) {
    const Relation triggers = table_open(TriggerRelationId, AccessShareLock);
    ScanKeyData key[1];
    ScanKeyInit(&key[0], Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(table));
    const SysScanDesc scan = systable_beginscan(triggers, TriggerRelidNameIndexId, true, nullptr, 1, key);
    for (HeapTuple tuple; HeapTupleIsValid(tuple = systable_getnext(scan));)
        visit(tuple, reinterpret_cast<Form_pg_trigger>(GETSTRUCT(tuple)), RelationGetDescr(triggers));
    systable_endscan(scan);
    table_close(triggers, AccessShareLock);
}

// Whether this trigger of ours is there and enabled as it should be. Mixes into *source which transaction wrote its row
// in pg_trigger: another one after it was disabled and enabled. The raw xmin survives whatever moves or freezes the
// row, such as VACUUM FULL, which sends no invalidation of our tables: sessions would disagree about the key of a
// stream. A row that this transaction wrote does not count yet: within one transaction the trigger can have been
// disabled, rows loaded, and the trigger enabled.
bool is_enabled(Oid table, const OwnTrigger &own, Oid function, uint32 *source) {
    bool found = false;
    visit_triggers(table, [&](HeapTuple tuple, Form_pg_trigger form, TupleDesc desc) {
        if (form->tgfoid != function || !OidIsValid(function))
            return;
        *source = hash_combine(*source, hash_uint32(HeapTupleHeaderGetRawXmin(tuple->t_data)));
        found = found || (form->tgtype == own.events && form->tgenabled == own.enabled && form->tgattr.dim1 == 0 &&
                          heap_attisnull(tuple, Anum_pg_trigger_tgqual, desc) &&
                          !TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data)));
    });
    return found;
}

}  // namespace

void find_own_triggers(Oid extension, Tables *found) {
    for (int i = 0; i < int{lengthof(kFunctions)}; ++i)
        found->own_triggers[i] = trigger_function(kFunctions[i], found->schema, extension);
    found->names_watched = found->ids_watched = true;
    uint32 unused = 0;
    for (const OwnTrigger &own : kOwn) {
        const Oid function = trigger_function(own.function, found->schema, extension);
        if (strcmp(own.table, "stream") == 0) {
            if (!is_enabled(found->stream, own, function, &unused))
                found->names_watched = false;
        } else if (const bool chunk = strcmp(own.table, "stream_chunk") == 0;
                   !is_enabled(chunk ? found->chunk : found->state, own, function, &found->id_source))
            found->ids_watched = false;
    }
}

Oid enables_triggers_of(const Node *statement) {
    bool enables = false;
    ListCell *cell;
    if (IsA(statement, AlterTableStmt))
        foreach (cell, castNode(AlterTableStmt, statement)->cmds) {
            const AlterTableType type = lfirst_node(AlterTableCmd, cell)->subtype;
            enables = enables || type == AT_EnableTrig || type == AT_EnableTrigAll || type == AT_EnableTrigUser;
        }
    const Oid extension = enables ? get_extension_oid("pg_rill", true) : InvalidOid;
    const Oid table = OidIsValid(extension)
                          ? RangeVarGetRelid(castNode(AlterTableStmt, statement)->relation, NoLock, true)
                          : InvalidOid;
    return OidIsValid(table) && getExtensionOfObject(RelationRelationId, table) == extension ? table : InvalidOid;
}

void repair_own_triggers(Oid table) {
    CommandCounterIncrement();
    const char *name = get_rel_name(table);
    const char *schema = get_namespace_name(get_rel_namespace(table));
    List *repairs = NIL;
    for (const OwnTrigger &own : kOwn) {
        if (strcmp(own.table, name) != 0)
            continue;
        const Oid function =
            trigger_function(own.function, get_rel_namespace(table), getExtensionOfObject(RelationRelationId, table));
        visit_triggers(table, [&](HeapTuple, Form_pg_trigger form, TupleDesc) {
            if (OidIsValid(function) && form->tgfoid == function && form->tgenabled == TRIGGER_FIRES_ON_ORIGIN)
                repairs = lappend(repairs, psprintf("ALTER TABLE ONLY %s ENABLE %s TRIGGER %s",
                                                    quote_qualified_identifier(schema, name),
                                                    own.enabled == TRIGGER_FIRES_ALWAYS ? "ALWAYS" : "REPLICA",
                                                    quote_identifier(NameStr(form->tgname))));
        });
    }
    ListCell *cell;
    foreach (cell, repairs)
        (void) run_sql(static_cast<const char *>(lfirst(cell)), {}, SPI_OK_UTILITY);
}

}  // namespace rill
