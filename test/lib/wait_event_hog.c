/*
 * Takes custom wait events of the server (17 and newer) until none is left: at server start when it is preloaded, and
 * when SQL calls wait_event_hog().
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/wait_event.h"

PG_MODULE_MAGIC;
PG_FUNCTION_INFO_V1(wait_event_hog);
void _PG_init(void);

static shmem_startup_hook_type previous_startup;

static void take(int count) {
    static int taken;
    for (int i = 0; i < count; ++i)
        WaitEventExtensionNew(psprintf("Hog%d", ++taken));
}

static void at_startup(void) {
    if (previous_startup)
        previous_startup();
    take(127);
}

void _PG_init(void) {
    if (!process_shared_preload_libraries_in_progress)
        return;
    previous_startup = shmem_startup_hook;
    shmem_startup_hook = at_startup;
}

/* Ends with the error that there are too many. */
Datum wait_event_hog(PG_FUNCTION_ARGS) {
    take(1000);
    PG_RETURN_VOID();
}
