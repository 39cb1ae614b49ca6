// When which database is visited by the retention worker: the launcher's part of retention.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

inline constexpr const char *kRetentionType = "pg_rill retention";

// Looks after the one retention worker of the server and starts it where it is due. Returns in how many ms it wants
// to be called again; -1 when there is nothing to do (a standby, or retention is off).
long attend_visits();

}  // namespace rill

extern "C" PGDLLEXPORT void pg_rill_retention_main(Datum database);
