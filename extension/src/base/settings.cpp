// Definitions of the pg_rill.* settings. Those that size shared memory exist only
// when the library is preloaded: the server refuses to define them later.
#include "base/settings.hpp"

namespace rill {

int max_chunk_bytes = 16 * 1024 * 1024;
int recheck_interval = 1000;
bool wakeups = true;
int retention_interval = 60;
int forget_deleted_after = 7 * 24 * 60 * 60;
int cached_streams = 65536;
int max_waits = 16384;
int max_databases = 64;
int wake_queue_size = 4096;

void define_settings() {
    DefineCustomIntVariable("pg_rill.max_chunk_bytes", "Sets the largest chunk that can be appended.",
                            "A larger one is refused with SQLSTATE 54000 and nothing is stored.", &max_chunk_bytes,
                            16 * 1024 * 1024, 1, 512 * 1024 * 1024, PGC_SUSET, GUC_UNIT_BYTE, nullptr, nullptr,
                            nullptr);
    DefineCustomIntVariable("pg_rill.recheck_interval",
                            "Sets how often a waiting session looks at its streams without being woken.",
                            "This bounds the delay when a wake-up is lost.", &recheck_interval, 1000, 10, 60 * 1000,
                            PGC_SIGHUP, GUC_UNIT_MS, nullptr, nullptr, nullptr);
    DefineCustomBoolVariable("pg_rill.wakeups", "Wakes waiting readers when a transaction ends.",
                             "Off leaves only rechecks and polling; it is meant for testing.", &wakeups, true,
                             PGC_SIGHUP, GUC_NOT_IN_SAMPLE, nullptr, nullptr, nullptr);
    DefineCustomIntVariable(
        "pg_rill.retention_interval",
        "Sets how often each database is looked at for chunks and streams that are past their retention.",
        "0 turns retention off.", &retention_interval, 60, 0, 24 * 60 * 60, PGC_SIGHUP, GUC_UNIT_S, nullptr, nullptr,
        nullptr);
    DefineCustomIntVariable(
        "pg_rill.forget_deleted_after", "Sets how long the last id of a deleted stream is remembered.",
        "A stream created again under its name within this time goes on with higher ids.", &forget_deleted_after,
        7 * 24 * 60 * 60, 0, INT_MAX, PGC_SIGHUP, GUC_UNIT_S, nullptr, nullptr, nullptr);
    if (process_shared_preload_libraries_in_progress) {
        DefineCustomIntVariable("pg_rill.cached_streams", "Sets how many streams the shared sequence table holds.",
                                "An append to a stream that is not in it looks its last id up in the index.",
                                &cached_streams, 65536, 64, 16 * 1024 * 1024, PGC_POSTMASTER, 0, nullptr, nullptr,
                                nullptr);
        DefineCustomIntVariable("pg_rill.max_waits",
                                "Sets how many streams all waiting sessions together can be woken for.",
                                "Further ones are still found by the recheck.", &max_waits, 16384, 64, 16 * 1024 * 1024,
                                PGC_POSTMASTER, 0, nullptr, nullptr, nullptr);
        DefineCustomIntVariable("pg_rill.max_databases",
                                "Sets how many databases can have listening sessions at the same time.", nullptr,
                                &max_databases, 64, 1, 4096, PGC_POSTMASTER, 0, nullptr, nullptr, nullptr);
        DefineCustomIntVariable(
            "pg_rill.wake_queue_size", "Sets how many stream ids wait for a database's worker at the most.",
            "When it is full, listeners are told to look at every stream. Rounded up to a power of two.",
            &wake_queue_size, 4096, 64, 1024 * 1024, PGC_POSTMASTER, 0, nullptr, nullptr, nullptr);
    }
    MarkGUCPrefixReserved("pg_rill");
}

}  // namespace rill
