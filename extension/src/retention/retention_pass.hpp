// One pass of the retention worker over the database that it is connected to.
#pragma once

namespace rill {

// Continues where the last pass over this database ended, and reports the result to the launcher.
void run_retention_pass();

}  // namespace rill
