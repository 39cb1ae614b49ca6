// LOCK TABLE in a mode that appends wait for: part of table_guard.hpp.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

// Locks what the statement names, and the views below it, and raises 42501 before it would lock one of our tables,
// which the current user does not own. The server's own errors otherwise.
void check_lock(const LockStmt *statement);

}  // namespace rill
