// What procedures that wait share: they hold no snapshot and no transaction id while they sleep (promise I7). The
// procedure commits the transaction that CALL began (SPI_commit also pops the portal's snapshot) and begins another
// before each sleep. That must not commit somebody's work behind their back: inside a transaction block, and after
// writes in the same procedure or DO block, it is refused.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

// Refuses, with 25001, a transaction block and work that is not committed; then holds nothing. `function` is named in
// the hint, or null.
void begin_wait_procedure(FunctionCallInfo fcinfo, const char *procedure, const char *function);
// For wait_until(): before each sleep. Under row-level security a lookup takes locks that last as long as the
// transaction.
void restart_transaction();
// After the wait: what comes after the procedure has a transaction of its own again.
void end_wait_procedure();

}  // namespace rill
