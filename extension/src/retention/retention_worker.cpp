// The retention worker: the launcher starts it for one database (retention_schedule.cpp); it runs one pass there
// (retention_pass.cpp) and exits.
// Why no user's code runs as the bootstrap superuser that it connects as: it accesses only the extension's own tables,
// which catalog.cpp has verified; every statement on a table is planned and run as that table's owner,
// security-restricted (spi.hpp); and the C code in between evaluates no expressions of users, and runs as such an
// owner, too.
// Must survive: no extension in the database, DROP EXTENSION at any moment (the tables are locked only if the locks are
// free), and SIGTERM.
#include "retention/retention_worker.hpp"

#include "retention/retention_pass.hpp"
#include "tables/catalog.hpp"
#include "tables/spi.hpp"
#include "wake/process.hpp"

namespace rill {

namespace {

Oid connected_user = InvalidOid;

}  // namespace

BatchStart begin_batch() {
    CHECK_FOR_INTERRUPTS();
    SetCurrentStatementStartTimestamp();
    StartTransactionCommand();
    PushActiveSnapshot(GetTransactionSnapshot());
    const bool installed = OidIsValid(get_extension_oid("pg_rill", true));
    if (installed) {
        const Tables found = tables();
        bool locked = true;
        for (const Oid table : {found.stream, found.state, found.chunk, found.producer})
            locked = locked && ConditionalLockRelationOid(table, RowExclusiveLock);
        // The extension may have been dropped before the locks were taken.
        if (locked && OidIsValid(get_extension_oid("pg_rill", true)) && tables().stream == found.stream) {
            int context;
            GetUserIdAndSecContext(&connected_user, &context);
            (void) OwnerScope(found.state);  // until commit_batch(), or the abort
            return BatchStart::begun;
        }
    }
    PopActiveSnapshot();
    CommitTransactionCommand();
    return installed ? BatchStart::tables_locked : BatchStart::not_installed;
}

void commit_batch() {
    SetUserIdAndSecContext(connected_user, 0);
    PopActiveSnapshot();
    CommitTransactionCommand();
    pgstat_report_stat(false);
}

}  // namespace rill

void pg_rill_retention_main(Datum database) {
    using namespace rill;
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    pqsignal(SIGTERM, die);
    BackgroundWorkerUnblockSignals();
    BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(database), InvalidOid, 0);
    pin_settings();
    // Rows and tables are locked only if they are free; this is for the locks inside the server's own routines.
    SetConfigOption("lock_timeout", "2s", PGC_SUSET, PGC_S_OVERRIDE);
    pgstat_report_appname(kRetentionType);
    pgstat_report_activity(STATE_RUNNING, "enforcing retention");
    run_retention_pass();
}
