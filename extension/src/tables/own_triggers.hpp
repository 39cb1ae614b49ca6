// The triggers of the extension's own tables, which report what others write there. What is cached depends on them:
// while one is disabled, nothing is cached that it guards. So the catalog knows which are enabled as the install script
// left them. DISABLE TRIGGER ALL and ENABLE TRIGGER ALL, as pg_restore --disable-triggers runs them, would leave them
// enabled for ordinary sessions only, and what is loaded with session_replication_role = replica, or by logical
// replication, would pass them by. So ENABLE TRIGGER makes them again what they were.
#pragma once
#include "tables/catalog.hpp"

namespace rill {

// Sets what *found says of triggers. Its tables and schema are set.
void find_own_triggers(Oid extension, Tables *found);

// The table of ours whose triggers this statement will enable; InvalidOid if there is none.
Oid enables_triggers_of(const Node *statement);
// After that statement: the extension's own triggers of this table are enabled as they should be.
void repair_own_triggers(Oid table);

}  // namespace rill
