// When the retention worker goes to which database: the launcher's part of retention.
#pragma once

namespace rill {

// Starts the one retention worker of the server for the database that is due, and takes note when it has ended. Returns
// the time in ms after which it wants to be called again; -1 when there is nothing to do (a standby, or retention is
// off).
long run_retention_schedule();

}  // namespace rill
