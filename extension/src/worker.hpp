// The kinds of background process; see launcher.cpp, worker.cpp and retention_worker.cpp.
#pragma once
#include "postgres_api.hpp"

namespace rill {

inline constexpr const char *kLauncherType = "pg_rill launcher";
inline constexpr const char *kWorkerType = "pg_rill worker";

void register_launcher();

}  // namespace rill

extern "C" PGDLLEXPORT void pg_rill_launcher_main(Datum arg);
extern "C" PGDLLEXPORT void pg_rill_worker_main(Datum slot);
extern "C" PGDLLEXPORT void pg_rill_retention_main(Datum database);
