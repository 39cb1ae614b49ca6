// See shared_state.hpp.
#include "shmem/shared_state.hpp"

#include "base/pg_compat.hpp"
#include "shmem/database_slot.hpp"
#include "shmem/id_cache.hpp"
#include "shmem/launcher_state.hpp"
#include "shmem/prepared_streams.hpp"
#include "shmem/retention_queue.hpp"
#include "shmem/wait_list.hpp"

namespace rill {

SharedState *shared = nullptr;

namespace {

shmem_startup_hook_type previous_startup = nullptr;
shmem_request_hook_type previous_request = nullptr;

uint64 random_run(const char *what) {
    uint64 run = 0;
    if (!pg_strong_random(&run, sizeof(run)))
        ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate a random number for %s", what)));
    return run;
}

extern "C" {

void rill_shmem_request(void) {
    if (previous_request)
        previous_request();
    RequestAddinShmemSpace(sizeof(SharedState));
    request_id_cache();
    request_wait_list();
    request_database_slots();
    request_retention_queues();
    request_prepared_streams();
    request_launcher_state();
}

void rill_shmem_startup(void) {
    if (previous_startup)
        previous_startup();
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    if (attach_area("pg_rill", sizeof(SharedState), &shared))
        *shared = {random_run("this server start"), allocate_wait_event("PgRillStreamWait"),
                   allocate_wait_event("PgRillNotifierMain"), allocate_wait_event("PgRillLauncherMain")};
    attach_id_cache();
    attach_wait_list();
    attach_database_slots();
    attach_retention_queues();
    attach_prepared_streams();
    attach_launcher_state();
    LWLockRelease(AddinShmemInitLock);
}

}  // extern "C"

}  // namespace

void install_shmem_hooks() {
    previous_request = shmem_request_hook;
    shmem_request_hook = rill_shmem_request;
    previous_startup = shmem_startup_hook;
    shmem_startup_hook = rill_shmem_startup;
}

void require_shared(const char *what) {
    if (shared == nullptr)
        ereport(
            ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("pg_rill must be loaded via \"shared_preload_libraries\" to %s", what),
             errhint("Add \"pg_rill\" to \"shared_preload_libraries\" in postgresql.conf and restart the server.")));
}

int32 epoch_of(Oid chunk_table, int64 stream_id) {
    // Without shared memory each session is a run of its own. That also tells chunks apart, and stays correct across a
    // crash that the postmaster itself survives.
    static uint64 own_run = 0;
    if (shared == nullptr && own_run == 0)
        own_run = random_run("this session");
    struct {
        uint64 run;
        int64 stream;
        Oid table;
        Oid database;  // a copy made by CREATE DATABASE ... TEMPLATE has the same tables and streams
    } const parts = {shared != nullptr ? shared->run : own_run, stream_id, chunk_table, MyDatabaseId};
    return static_cast<int32>(hash_bytes(reinterpret_cast<const unsigned char *>(&parts), sizeof(parts)));
}

}  // namespace rill
