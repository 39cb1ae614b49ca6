// The retention worker: the launcher starts it for one database (retention_schedule.cpp), it runs one pass there
// (retention_pass.cpp), and leaves. It runs as the bootstrap superuser and touches the extension's own tables alone,
// with search_path pinned.
// Must survive: no extension in the database, DROP EXTENSION at any moment (the tables are locked only if the locks are
// free), and SIGTERM.
#include "retention/retention_worker.hpp"

#include "retention/retention_pass.hpp"
#include "tables/catalog.hpp"

namespace rill {

BatchStart begin_batch() {
    CHECK_FOR_INTERRUPTS();
    SetCurrentStatementStartTimestamp();
    StartTransactionCommand();
    PushActiveSnapshot(GetTransactionSnapshot());
    const bool installed = OidIsValid(get_extension_oid("pg_rill", true));
    if (installed) {
        const Tables found = tables();
        bool locked = true;
        for (const Oid table : {found.stream, found.chunk, found.producer})
            locked = locked && ConditionalLockRelationOid(table, RowExclusiveLock);
        // The extension may have been dropped before the locks were taken.
        if (locked && OidIsValid(get_extension_oid("pg_rill", true)) && tables().stream == found.stream)
            return BatchStart::begun;
    }
    PopActiveSnapshot();
    CommitTransactionCommand();
    return installed ? BatchStart::tables_locked : BatchStart::not_installed;
}

void commit_batch() {
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
    SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_SUSET, PGC_S_OVERRIDE);
    // What a crash undoes is removed again.
    SetConfigOption("synchronous_commit", "off", PGC_BACKEND, PGC_S_OVERRIDE);
    pgstat_report_appname(kRetentionType);
    pgstat_report_activity(STATE_RUNNING, "enforcing retention");
    run_retention_pass();
}
