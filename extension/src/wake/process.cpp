// See process.hpp.
#include "wake/process.hpp"

#include "base/pg_compat.hpp"

namespace rill {

BackgroundWorker describe_process(const char *function, const char *type) {
    BackgroundWorker worker = {};
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    strlcpy(worker.bgw_library_name, "pg_rill", sizeof(worker.bgw_library_name));
    strlcpy(worker.bgw_function_name, function, sizeof(worker.bgw_function_name));
    strlcpy(worker.bgw_name, type, sizeof(worker.bgw_name));
    strlcpy(worker.bgw_type, type, sizeof(worker.bgw_type));
    return worker;
}

void pin_settings() {
    SetConfigOption("synchronous_commit", "off", PGC_BACKEND, PGC_S_OVERRIDE);
    for (const char *timeout : kTransactionTimeouts)
        SetConfigOption(timeout, "0", PGC_BACKEND, PGC_S_OVERRIDE);
}

}  // namespace rill
