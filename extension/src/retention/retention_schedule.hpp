// When the retention worker visits which database: the launcher's part of retention.
#pragma once

namespace rill {

// Starts the server's one retention worker for the database that is due, and notices when it has ended. Returns the ms
// until the next call is due, or -1 when no call is needed (a standby, or retention is off).
long run_retention_schedule();

}  // namespace rill
