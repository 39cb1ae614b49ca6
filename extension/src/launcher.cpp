// The launcher: one process for the server, connected to no database. It starts a notifier for each database that has a
// listening session (wake/notifier_supervisor.cpp), sends the retention worker from database to database
// (retention/retention_schedule.cpp), and on a standby wakes waiting sessions as replay proceeds (standby_wake.cpp).
// Must survive: its own death (the postmaster starts it again; the notifiers continue meanwhile, a retention
// worker is replaced), SIGTERM, SIGHUP.
#include "launcher.hpp"

#include "retention/retention_schedule.hpp"
#include "shmem/launcher_state.hpp"
#include "wake/notifier_supervisor.hpp"
#include "wake/process.hpp"
#include "wake/standby_wake.hpp"

namespace rill {

void register_launcher() {
    BackgroundWorker worker = describe_process("pg_rill_launcher_main", kLauncherType);
    worker.bgw_start_time = BgWorkerStart_ConsistentState;
    worker.bgw_restart_time = 1;
    RegisterBackgroundWorker(&worker);
}

}  // namespace rill

void pg_rill_launcher_main(Datum) {
    using namespace rill;
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    pqsignal(SIGTERM, die);
    BackgroundWorkerUnblockSignals();
    BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);
    become_launcher();
    MemoryContextSwitchTo(TopMemoryContext);
    begin_supervision();
    for (;;) {
        long sleep = supervise_notifiers();
        for (const long wanted : {run_retention_schedule(), watch_replay()})
            if (wanted >= 0)
                sleep = Min(sleep, wanted);
        (void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, Max(sleep, 1),
                         shared->launcher_main);
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
        if (ConfigReloadPending) {
            ConfigReloadPending = false;
            ProcessConfigFile(PGC_SIGHUP);
        }
    }
}
