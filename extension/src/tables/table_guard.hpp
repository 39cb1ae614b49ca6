// Keeps roles with privileges on the extension's tables from stopping everybody else.
// A privilege on a table brings rights to lock it: UPDATE or DELETE let a role LOCK TABLE it in the strongest mode, and
// TRIGGER, REFERENCES and TRUNCATE take locks that writers wait for, until an idle transaction ends. Here they are for
// the functions alone, so such statements of others than the owner are refused before they queue for a lock.
// Needs preload: without it no hook sees a session that has not called one of our functions yet.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

void install_table_guard();

// From the ProcessUtility hook, before the statement runs. Raises 42501 for a statement that would take a lock stronger
// than those of INSERT, UPDATE and DELETE on one of our tables, which the current user does not own.
void check_statement(Node *statement);

}  // namespace rill
