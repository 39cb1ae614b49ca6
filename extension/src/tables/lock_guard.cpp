// See lock_guard.hpp.
// Why nothing of ours is locked: each relation is locked before its kind and its query are judged, with the rights that
// the server would ask for (lockcmds.c), so neither changes between the judgement and the server's own lock.
// Must survive: names, views and schemas that change their meaning during a wait, and views that read each other.
#include "tables/lock_guard.hpp"

#include "base/pg_compat.hpp"
#include "tables/table_guard.hpp"

namespace rill {

namespace {

// LOCK TABLE on a view locks what its query reads, too, and the query is read after the wait for the view's lock. So
// the locks of views are taken here, by the server's own rules, before their queries are checked.
struct ViewLock {
    LOCKMODE mode;
    bool nowait;
    Oid view;               // InvalidOid: what LOCK TABLE named
    Oid user;               // whose rights decide
    const ViewLock *above;  // the view that reads this one

    // Views can read each other, and up to PostgreSQL 15 the query of a view contains the view itself.
    [[nodiscard]] bool contains(Oid relation) const {
        return view == relation || (above != nullptr && above->contains(relation));
    }
};
void check_view(Oid view, const ViewLock &outer);

bool check_query(Node *node, void *context) {
    if (node == nullptr)
        return false;
    if (!IsA(node, Query))
        return walk_expression(node, check_query, context);
    auto *query = castNode(Query, node);
    const auto &lock = *static_cast<const ViewLock *>(context);
    ListCell *cell;
    foreach (cell, query->rtable) {
        const auto *entry = lfirst_node(RangeTblEntry, cell);
        if (entry->rtekind != RTE_RELATION || lock.contains(entry->relid))
            continue;
        refuse_others(entry->relid);
        if (get_rel_relkind(entry->relid) != RELKIND_VIEW ||
            pg_class_aclcheck(entry->relid, lock.user, kLockRights) != ACLCHECK_OK)
            continue;  // the second: the server refuses it
        if (!lock.nowait)
            LockRelationOid(entry->relid, lock.mode);
        else if (!ConditionalLockRelationOid(entry->relid, lock.mode))
            ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE),
                            errmsg("could not obtain lock on relation \"%s\"", get_rel_name(entry->relid))));
        check_view(entry->relid, lock);
    }
    return walk_query(query, check_query, context, QTW_IGNORE_JOINALIASES);
}

// The view is locked. What it reads is judged as its owner, or as the current user, however far below another view.
void check_view(Oid view, const ViewLock &outer) {
    check_stack_depth();
    const Relation relation = try_relation_open(view, NoLock);
    if (relation == nullptr)
        return;
    ViewLock lock = {outer.mode, outer.nowait, view,
                     RelationHasSecurityInvoker(relation) ? GetUserId() : relation->rd_rel->relowner, &outer};
    (void) check_query(reinterpret_cast<Node *>(get_view_query(relation)), &lock);
    relation_close(relation, NoLock);
}

// As the server's own callback.
extern "C" void rill_before_lock(const RangeVar *name, Oid relation, Oid, void *) {
    const char kind = OidIsValid(relation) ? get_rel_relkind(relation) : '\0';
    if (kind == '\0')
        return;
    if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE && kind != RELKIND_VIEW)
        ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("cannot lock relation \"%s\"", name->relname),
                        errdetail_relkind_not_supported(kind)));
    refuse_others(relation);
    if (const AclResult result = pg_class_aclcheck(relation, GetUserId(), kLockRights); result != ACLCHECK_OK)
        aclcheck_error(result, get_relkind_objtype(kind), name->relname);
}

}  // namespace

// Locks every relation that is named, as the server is about to: what a name means, and whether that is a view, can
// change during any wait. Schemas can be renamed then, too, so the names are looked up again at the end.
void check_lock(const LockStmt *statement) {
    for (bool changed = true; changed;) {
        List *locked = NIL;
        ListCell *cell;
        foreach (cell, statement->relations) {
            auto *name = lfirst_node(RangeVar, cell);
            while (!OidIsValid(pin_name(name)))
                (void) RangeVarGetRelid(name, NoLock, false);  // the server's own error
            const Oid relation = RangeVarGetRelidExtended(name, statement->mode, statement->nowait ? RVR_NOWAIT : 0,
                                                          rill_before_lock, nullptr);
            if (get_rel_relkind(relation) == RELKIND_VIEW)
                check_view(relation, {statement->mode, statement->nowait, InvalidOid, GetUserId(), nullptr});
            locked = lappend_oid(locked, relation);
        }
        changed = false;
        ListCell *relation;
        forboth(cell, statement->relations, relation, locked) changed =
            changed || RangeVarGetRelid(lfirst_node(RangeVar, cell), NoLock, true) != lfirst_oid(relation);
    }
}

}  // namespace rill
