// The library's entry point.
#include "pg_compat.hpp"
#include "read_scan.hpp"
#include "settings.hpp"
#include "shared_state.hpp"
#include "two_phase.hpp"
#include "worker.hpp"

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
    rill::register_launcher();
}
