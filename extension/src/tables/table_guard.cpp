// See table_guard.hpp.
// Here is every statement that locks a relation before the server asks who owns it, and so strongly that appends or
// reads would queue behind it: all a role needs is a transaction of its own that has read table `stream`. LOCK,
// TRUNCATE, foreign keys, and from PostgreSQL 17 on VACUUM, ANALYZE, CLUSTER and REINDEX (MAINTAIN) ask for other
// rights than ownership, the rest for none. A statement's relations are taken from its parse tree, and their names get
// a schema there: without one, a name could mean our table when the statement has waited for the lock of another table
// that was dropped meanwhile. If that misses one, a second check catches it: a trigger on one of our tables (also those
// that a foreign key creates) is refused when it is created, and the error releases the lock. Must survive: names that
// do not exist, databases without the extension, and statements of superusers (no check).
#include "tables/table_guard.hpp"

#include "base/pg_compat.hpp"
#include "tables/lock_guard.hpp"

namespace rill {

namespace {

constexpr char kForFunctions[] = "Privileges on the tables of pg_rill are for its functions.";

object_access_hook_type previous_access = nullptr;

bool is_ours(Oid relation) {
    const Oid extension = get_extension_oid("pg_rill", true);
    return OidIsValid(extension) && get_rel_relkind(relation) == RELKIND_RELATION &&
           getExtensionOfObject(RelationRelationId, relation) == extension;
}

}  // namespace

void refuse_others(Oid relation) {
    const Oid table = get_rel_relkind(relation) == RELKIND_INDEX ? IndexGetRelation(relation, true) : relation;
    if (!OidIsValid(table) || !is_ours(table) || owns_relation(table))
        return;
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                    errmsg("must be owner of table \"%s\" to lock or extend it", get_rel_name(table)),
                    errhint("%s", kForFunctions)));
}

Oid pin_name(RangeVar *name) {
    if (name == nullptr)
        return InvalidOid;
    const Oid relation = RangeVarGetRelid(name, NoLock, true);
    if (!OidIsValid(relation) || name->schemaname != nullptr)
        return relation;
    name->schemaname = get_namespace_name(get_rel_namespace(relation));
    if (name->schemaname == nullptr)  // dropped since
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation \"%s\" does not exist", name->relname)));
    return relation;
}

namespace {

// Whoever was granted MAINTAIN could VACUUM FULL our tables with everybody queueing behind it, or ANALYZE them and keep
// that lock, which autovacuum waits for. `hint` may be null.
void refuse_maintenance(Oid relation, const char *hint) {
    const Oid table = get_rel_relkind(relation) == RELKIND_INDEX ? IndexGetRelation(relation, true) : relation;
    if (!OidIsValid(table) || !maintains_by_grant(table) || !is_ours(table))
        return;
    ereport(ERROR,
            (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
             errmsg("must be owner of table \"%s\" to vacuum, analyze, cluster or reindex it", get_rel_name(table)),
             errhint("%s", hint != nullptr ? hint : kForFunctions)));
}

// A statement or function that may take every table, of this schema unless it is invalid, that the user may maintain.
void refuse_maintenance_of_all(Oid schema) {
    const Oid extension = get_extension_oid("pg_rill", true);
    if (!OidIsValid(extension))
        return;
    List *relations = NIL;
    const Relation dependencies = table_open(DependRelationId, AccessShareLock);
    ScanKeyData key[2];
    ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
                ObjectIdGetDatum(ExtensionRelationId));
    ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(extension));
    const SysScanDesc scan = systable_beginscan(dependencies, DependReferenceIndexId, true, nullptr, 2, key);
    for (HeapTuple tuple; HeapTupleIsValid(tuple = systable_getnext(scan));)
        if (const auto *row = reinterpret_cast<Form_pg_depend>(GETSTRUCT(tuple)); row->classid == RelationRelationId)
            relations = list_append_unique_oid(relations, row->objid);
    systable_endscan(scan);
    table_close(dependencies, AccessShareLock);
    ListCell *cell;
    foreach (cell, relations)
        if (!OidIsValid(schema) || get_rel_namespace(lfirst_oid(cell)) == schema)
            refuse_maintenance(lfirst_oid(cell), "Name the tables, or revoke MAINTAIN on the tables of pg_rill.");
}

void check_name(RangeVar *name) {
    if (const Oid relation = pin_name(name); OidIsValid(relation))
        refuse_others(relation);
}

void check_maintained(RangeVar *name) {
    if (const Oid relation = pin_name(name); OidIsValid(relation))
        refuse_maintenance(relation, nullptr);
}

void check_names(const List *names) {
    ListCell *cell;
    foreach (cell, names)
        check_name(lfirst_node(RangeVar, cell));
}

// Tables that foreign keys among these constraints, columns or ALTER TABLE commands refer to, and those that are to
// become partitions, or to be none any more. The foreign keys of a new table come through the hook once more, as an
// ALTER TABLE. Before that their names must not be pinned: one may mean the new table itself.
enum class Of : bool { new_table, table };
void check_referenced(RangeVar *name, Of of) {
    if (of == Of::table || name == nullptr)
        check_name(name);
    else if (const Oid relation = RangeVarGetRelid(name, NoLock, true); OidIsValid(relation))
        refuse_others(relation);
}

void check_references(const List *nodes, Of of) {
    ListCell *cell;
    foreach (cell, nodes) {
        auto *node = static_cast<Node *>(lfirst(cell));
        if (IsA(node, AlterTableCmd))
            node = castNode(AlterTableCmd, node)->def;
        if (node == nullptr)
            continue;
        if (IsA(node, Constraint) && castNode(Constraint, node)->contype == CONSTR_FOREIGN)
            check_referenced(castNode(Constraint, node)->pktable, of);
        else if (IsA(node, PartitionCmd))
            check_name(castNode(PartitionCmd, node)->name);
        else if (IsA(node, ColumnDef))
            check_references(castNode(ColumnDef, node)->constraints, of);
    }
}

// The table of a policy.
Oid table_of_policy(Oid policy) {
    Oid table = InvalidOid;
    const Relation policies = table_open(PolicyRelationId, AccessShareLock);
    ScanKeyData key[1];
    ScanKeyInit(&key[0], Anum_pg_policy_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(policy));
    const SysScanDesc scan = systable_beginscan(policies, PolicyOidIndexId, true, nullptr, 1, key);
    if (const HeapTuple tuple = systable_getnext(scan); HeapTupleIsValid(tuple))
        table = reinterpret_cast<Form_pg_policy>(GETSTRUCT(tuple))->polrelid;
    systable_endscan(scan);
    table_close(policies, AccessShareLock);
    return table;
}

// DROP OWNED drops the policies that name nobody but these roles, with an exclusive lock on their table: a tenant could
// rid himself of a restrictive policy, or stop everybody by leaving the transaction open.
void check_policies_of(const List *roles) {
    List *tables = NIL;
    ListCell *cell;
    const Relation dependencies = table_open(SharedDependRelationId, AccessShareLock);
    foreach (cell, roles) {
        ScanKeyData key[2];
        ScanKeyInit(&key[0], Anum_pg_shdepend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
                    ObjectIdGetDatum(AuthIdRelationId));
        ScanKeyInit(&key[1], Anum_pg_shdepend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
                    ObjectIdGetDatum(get_rolespec_oid(lfirst_node(RoleSpec, cell), false)));
        const SysScanDesc scan = systable_beginscan(dependencies, SharedDependReferenceIndexId, true, nullptr, 2, key);
        for (HeapTuple tuple; HeapTupleIsValid(tuple = systable_getnext(scan));)
            if (const auto *row = reinterpret_cast<Form_pg_shdepend>(GETSTRUCT(tuple));
                row->dbid == MyDatabaseId && row->classid == PolicyRelationId)
                tables = list_append_unique_oid(tables, table_of_policy(row->objid));
        systable_endscan(scan);
    }
    table_close(dependencies, AccessShareLock);
    foreach (cell, tables)
        refuse_others(lfirst_oid(cell));
}

extern "C" void rill_object_access(ObjectAccessType access, Oid object_class, Oid object, int sub_object, void *arg) {
    if (previous_access != nullptr)
        previous_access(access, object_class, object, sub_object, arg);
    if (access == OAT_FUNCTION_EXECUTE) {  // before the function has arguments
        if (changes_statistics(object) && !superuser())
            refuse_maintenance_of_all(InvalidOid);
        return;
    }
    if (access != OAT_POST_CREATE || object_class != TriggerRelationId || superuser())
        return;
    Oid table = InvalidOid;
    const Relation triggers = table_open(TriggerRelationId, AccessShareLock);
    ScanKeyData key[1];
    ScanKeyInit(&key[0], Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(object));
    const SysScanDesc scan = systable_beginscan(triggers, TriggerOidIndexId, true, SnapshotSelf, 1, key);
    if (const HeapTuple tuple = systable_getnext(scan); HeapTupleIsValid(tuple))
        table = reinterpret_cast<Form_pg_trigger>(GETSTRUCT(tuple))->tgrelid;
    systable_endscan(scan);
    table_close(triggers, AccessShareLock);
    if (OidIsValid(table))
        refuse_others(table);
}

}  // namespace

void install_table_guard() {
    previous_access = object_access_hook;
    object_access_hook = rill_object_access;
}

namespace {

void check(Node *statement) {
    ListCell *cell;
    switch (nodeTag(statement)) {
    case T_LockStmt:
        if (auto *lock = castNode(LockStmt, statement); lock->mode > RowExclusiveLock)
            check_lock(lock);
        break;
    case T_TruncateStmt:
        check_names(castNode(TruncateStmt, statement)->relations);
        break;
    case T_VacuumStmt: {  // ANALYZE, too
        auto *vacuum = castNode(VacuumStmt, statement);
        foreach (cell, vacuum->rels)
            check_maintained(lfirst_node(VacuumRelation, cell)->relation);
        bool tables = true;
        foreach (cell, vacuum->options)
            if (strcmp(lfirst_node(DefElem, cell)->defname, "only_database_stats") == 0)
                tables = !defGetBoolean(lfirst_node(DefElem, cell));  // vacuumdb ends with it
        if (vacuum->rels == NIL && tables)
            refuse_maintenance_of_all(InvalidOid);
        break;
    }
    case T_ClusterStmt: {
        auto *cluster = castNode(ClusterStmt, statement);
        check_maintained(cluster->relation);
        if (cluster->relation == nullptr)
            refuse_maintenance_of_all(InvalidOid);
        break;
    }
    case T_ReindexStmt: {  // DATABASE and SYSTEM are for owners of the database
        auto *reindex = castNode(ReindexStmt, statement);
        check_maintained(reindex->relation);
        if (reindex->kind == REINDEX_OBJECT_SCHEMA && reindex->name != nullptr)
            if (const Oid schema = get_namespace_oid(reindex->name, true); OidIsValid(schema))
                refuse_maintenance_of_all(schema);
        break;
    }
    case T_CreateTrigStmt: {
        auto *trigger = castNode(CreateTrigStmt, statement);
        check_name(trigger->relation);
        check_name(trigger->constrrel);
        break;
    }
    case T_RuleStmt:
        check_name(castNode(RuleStmt, statement)->relation);
        break;
    case T_CreateStmt:
    case T_CreateForeignTableStmt: {
        // The second begins with the first.
        auto *create = reinterpret_cast<CreateStmt *>(statement);
        check_references(create->tableElts, Of::new_table);
        check_names(create->inhRelations);
        break;
    }
    case T_AlterObjectDependsStmt:
        check_name(castNode(AlterObjectDependsStmt, statement)->relation);
        break;
    case T_DropOwnedStmt:
        check_policies_of(castNode(DropOwnedStmt, statement)->roles);
        break;
    case T_AlterTableStmt:
        check_references(castNode(AlterTableStmt, statement)->cmds, Of::table);
        break;
    default:
        break;
    }
}

bool is_guarded(const Node *statement) {
    switch (nodeTag(statement)) {
    case T_LockStmt:
    case T_TruncateStmt:
    case T_VacuumStmt:
    case T_ClusterStmt:
    case T_ReindexStmt:
    case T_CreateTrigStmt:
    case T_RuleStmt:
    case T_CreateStmt:
    case T_CreateForeignTableStmt:
    case T_AlterObjectDependsStmt:
    case T_DropOwnedStmt:
    case T_AlterTableStmt:
        return true;
    default:
        return false;
    }
}

}  // namespace

PlannedStmt *check_statement(PlannedStmt *statement) {
    if (!is_guarded(statement->utilityStmt) || superuser())
        return statement;
    auto *copy = static_cast<PlannedStmt *>(copyObjectImpl(statement));  // the original may be cached
    check(copy->utilityStmt);
    return copy;
}

}  // namespace rill
