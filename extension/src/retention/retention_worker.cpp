// The retention worker: the launcher starts it for one database (retention_schedule.cpp); it runs one pass there
// (retention_pass.cpp) and exits.
// Why no user's code runs as the bootstrap superuser that it connects as: it accesses only the extension's own tables,
// which catalog.cpp has verified; every statement on a table is planned and run as that table's owner,
// security-restricted (spi.hpp); and the C code in between evaluates no expressions of users, and runs as such an
// owner, too.
// Why it waits for no user: tables and indexes are locked only if the locks are free, rows likewise (try_lock_row(),
// remove_chunks()), and what remains ends at a timeout: locks inside the server's routines, and what the owner's
// expressions and triggers do. The launcher ends a process that ignores even that.
// Must survive: no extension in the database, DROP EXTENSION at any moment, an error at any stream, and SIGTERM.
#include "retention/retention_worker.hpp"

#include "base/monotonic_clock.hpp"
#include "base/pg_compat.hpp"
#include "retention/retention_pass.hpp"
#include "shmem/launcher_state.hpp"
#include "tables/catalog.hpp"
#include "tables/spi.hpp"
#include "wake/process.hpp"

namespace rill {

namespace {

constexpr int64 kBatchTime = 1000;  // ms

Oid connected_user = InvalidOid;
int64 batch_end = kNever;

bool lock_with_indexes(Oid table) {
    if (!ConditionalLockRelationOid(table, RowExclusiveLock))
        return false;
    const Relation rel = try_relation_open(table, NoLock);
    if (rel == nullptr)
        return false;
    bool locked = true;
    List *indexes = RelationGetIndexList(rel);
    ListCell *cell;
    foreach (cell, indexes)
        locked = locked && ConditionalLockRelationOid(lfirst_oid(cell), RowExclusiveLock);
    list_free(indexes);
    relation_close(rel, NoLock);
    return locked;
}

}  // namespace

BatchStart begin_batch() {
    CHECK_FOR_INTERRUPTS();
    SetCurrentStatementStartTimestamp();
    StartTransactionCommand();
    enable_timeout_after(STATEMENT_TIMEOUT, kTransactionTimeout);
    batch_end = milliseconds_after(monotonic_now(), kBatchTime);
    PushActiveSnapshot(GetTransactionSnapshot());
    const bool installed = OidIsValid(get_extension_oid("pg_rill", true));
    if (installed) {
        const Tables found = tables();
        bool locked = true;
        for (const Oid table : {found.stream, found.state, found.chunk, found.producer})
            locked = locked && lock_with_indexes(table);
        // The extension may have been dropped before the locks were taken.
        if (locked && OidIsValid(get_extension_oid("pg_rill", true)) && tables().stream == found.stream) {
            int context;
            GetUserIdAndSecContext(&connected_user, &context);
            (void) OwnerScope(found.state);  // until commit_batch(), or the abort
            return BatchStart::begun;
        }
    }
    PopActiveSnapshot();
    disable_timeout(STATEMENT_TIMEOUT, false);
    CommitTransactionCommand();
    return installed ? BatchStart::tables_locked : BatchStart::not_installed;
}

void commit_batch() {
    SetUserIdAndSecContext(connected_user, 0);
    PopActiveSnapshot();
    CommitTransactionCommand();
    disable_timeout(STATEMENT_TIMEOUT, false);
    pgstat_report_stat(false);
}

bool batch_time_is_up() { return monotonic_now() >= batch_end; }

// What the main loops of the server's own processes do (autovacuum.c, postgres.c). A longjmp passes only frames with
// trivially destructible locals.
bool attempt(const Step &step) {
    sigjmp_buf here;
    sigjmp_buf *const outer = PG_exception_stack;
    ErrorContextCallback *const outer_context = error_context_stack;
    MemoryContext const memory = CurrentMemoryContext;
    if (sigsetjmp(here, 0) == 0) {
        PG_exception_stack = &here;
        step.run(step.state);
        PG_exception_stack = outer;
        return true;
    }
    PG_exception_stack = outer;
    error_context_stack = outer_context;
    hold_interrupts();
    disable_all_timeouts(false);
    QueryCancelPending = false;
    if (step.report(step.state))
        EmitErrorReport();
    AbortOutOfAnyTransaction();
    MemoryContextSwitchTo(memory);
    FlushErrorState();
    resume_interrupts();
    return false;
}

}  // namespace rill

void pg_rill_retention_main(Datum database) {
    using namespace rill;
    pqsignal(SIGTERM, die);
    BackgroundWorkerUnblockSignals();
    become_retention_worker();  // before it connects, which can wait
    BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(database), InvalidOid, 0);
    pin_settings();
    SetConfigOption("enable_seqscan", "off", PGC_SUSET, PGC_S_OVERRIDE);  // there is an index for every statement
    SetConfigOption("lock_timeout", psprintf("%d", kLockTimeout), PGC_SUSET, PGC_S_OVERRIDE);
    pgstat_report_appname(kRetentionType);
    pgstat_report_activity(STATE_RUNNING, "enforcing retention");
    run_retention_pass();
}
