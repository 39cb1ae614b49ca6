// The launcher process; see launcher.cpp.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

inline constexpr const char *kLauncherType = "pg_rill launcher";

void register_launcher();

}  // namespace rill

extern "C" PGDLLEXPORT void pg_rill_launcher_main(Datum arg);
