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
    DefineCustomIntVariable("pg_rill.max_chunk_bytes", "Sets the maximum size of a chunk.",
                            "An append of a larger chunk fails with SQLSTATE 54000 and stores nothing.",
                            &max_chunk_bytes, 16 * 1024 * 1024, 1, 512 * 1024 * 1024, PGC_SUSET, GUC_UNIT_BYTE, nullptr,
                            nullptr, nullptr);
    DefineCustomIntVariable("pg_rill.recheck_interval",
                            "Sets how often a waiting session checks its streams even if it is not woken.",
                            "This bounds the delay when a wake-up is lost.", &recheck_interval, 1000, 10, 60 * 1000,
                            PGC_SIGHUP, GUC_UNIT_MS, nullptr, nullptr, nullptr);
    DefineCustomBoolVariable("pg_rill.wakeups", "Wakes waiting and listening sessions when a transaction ends.",
                             "When this is off, readers find new chunks only by rechecking and polling. It is meant "
                             "for testing.",
                             &wakeups, true, PGC_SIGHUP, GUC_NOT_IN_SAMPLE, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("pg_rill.retention_interval",
                            "Sets how soon retention checks a stream to which something was appended.",
                            "0 turns retention off.", &retention_interval, 60, 0, 24 * 60 * 60, PGC_SIGHUP, GUC_UNIT_S,
                            nullptr, nullptr, nullptr);
    DefineCustomIntVariable(
        "pg_rill.forget_deleted_after", "Sets how long the last id of a deleted stream is remembered.",
        "A stream created again under the same name within this time continues with higher ids.", &forget_deleted_after,
        7 * 24 * 60 * 60, 0, INT_MAX, PGC_SIGHUP, GUC_UNIT_S, nullptr, nullptr, nullptr);
    if (process_shared_preload_libraries_in_progress) {
        DefineCustomIntVariable("pg_rill.cached_streams", "Sets how many streams the shared id cache holds.",
                                "An append to a stream that is not in the cache reads the stream's last id from the "
                                "index first.",
                                &cached_streams, 65536, 64, 16 * 1024 * 1024, PGC_POSTMASTER, 0, nullptr, nullptr,
                                nullptr);
        DefineCustomIntVariable("pg_rill.max_waits",
                                "Sets how many streams all waiting sessions together can be woken for.",
                                "One stream for each session comes in addition. Waits for further streams end only by "
                                "the recheck.",
                                &max_waits, 16384, 64, 16 * 1024 * 1024, PGC_POSTMASTER, 0, nullptr, nullptr, nullptr);
        DefineCustomIntVariable(
            "pg_rill.max_databases",
            "Sets the maximum number of databases that can have listening sessions at the same time.",
            "No NOTIFY is sent in further databases, and clients find new chunks there by polling.", &max_databases, 64,
            1, 4096, PGC_POSTMASTER, 0, nullptr, nullptr, nullptr);
        DefineCustomIntVariable(
            "pg_rill.wake_queue_size",
            "Sets how many stream ids can be queued for the notifier of a database, and for retention.",
            "When a queue is full, listeners are told to check every stream, and retention checks "
            "every stream that has limits. The value is rounded up to a power of two.",
            &wake_queue_size, 4096, 64, 1024 * 1024, PGC_POSTMASTER, 0, nullptr, nullptr, nullptr);
    }
    MarkGUCPrefixReserved("pg_rill");
}

}  // namespace rill
