// Prevents roles that have privileges on the extension's tables from blocking all other users.
// A privilege on a table includes the right to lock it: UPDATE or DELETE let a role LOCK TABLE it in the strongest
// mode, and TRIGGER, REFERENCES, TRUNCATE and MAINTAIN take locks that writers wait for, until an idle transaction
// ends. On our tables privileges are meant for the functions only, so such statements are refused, unless the owner
// runs them, before they queue for a lock. Requires preloading: otherwise the hook is missing in a session that has not
// called one of our functions yet.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

void install_table_guard();

// From the ProcessUtility hook, before the statement runs. Raises 42501 for a statement that would take a lock stronger
// than those of INSERT, UPDATE and DELETE on one of our tables, which the current user does not own. The statement to
// run instead: its names mean what they meant here.
PlannedStmt *check_statement(PlannedStmt *statement);

// Parts of the check, for lock_guard.cpp.
// Raises 42501 if `relation` is one of our tables, or an index of one, that the current user does not own.
void refuse_others(Oid relation);
// What the name means, from now on with its schema; InvalidOid if nothing.
Oid pin_name(RangeVar *name);

}  // namespace rill
