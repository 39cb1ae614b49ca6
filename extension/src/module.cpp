// The library's entry point.
#include "base/pg_compat.hpp"
#include "read/read_scan.hpp"
#include "base/settings.hpp"
#include "shmem/shared_state.hpp"
#include "tables/table_guard.hpp"
#include "wake/utility_hook.hpp"
#include "launcher.hpp"

extern "C" {
RILL_MODULE_MAGIC;
PGDLLEXPORT void _PG_init(void);
}

void _PG_init(void) {
    rill::define_settings();
    if (!IsBinaryUpgrade)
        rill::install_read_scan();
    // Without preload everything works that needs no shared memory: see shared_state.hpp.
    // During pg_upgrade no process of ours may run.
    if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
        return;
    rill::install_shmem_hooks();
    rill::install_utility_hook();
    rill::install_table_guard();
    rill::register_launcher();
}
