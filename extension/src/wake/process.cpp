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
    constexpr struct {
        const char *name;
        const char *value;
    } kPinned[] = {
        {"role", "none"},
        {"search_path", "pg_catalog, pg_temp"},
        {"session_replication_role", "origin"},
        {"row_security", "on"},
        {"default_transaction_isolation", "read committed"},
        {"default_transaction_read_only", "off"},
        {"default_transaction_deferrable", "off"},
        {"exit_on_error", "off"},
        {"statement_timeout", "0"},
        {"idle_in_transaction_session_timeout", "0"},
        {"synchronous_commit", "off"},
        {"zero_damaged_pages", "off"},
        {"default_tablespace", ""},
        {"temp_tablespaces", ""},
        {"work_mem", "4MB"},
        {"jit", "off"},
        {"max_parallel_workers_per_gather", "0"},
        {"enable_seqscan", "on"},
        {"enable_indexscan", "on"},
        {"enable_indexonlyscan", "on"},
        {"enable_bitmapscan", "on"},
        {"enable_sort", "on"},
        {"enable_nestloop", "on"},
        {"seq_page_cost", "1"},
        {"random_page_cost", "4"},
        {"cpu_tuple_cost", "0.01"},
        {"cpu_index_tuple_cost", "0.005"},
        {"cpu_operator_cost", "0.0025"},
        {"plan_cache_mode", "auto"},
        {"TimeZone", "UTC"},  // a day of a limit is 24 hours everywhere
    };
    for (const auto &setting : kPinned)
        SetConfigOption(setting.name, setting.value, PGC_SUSET, PGC_S_OVERRIDE);
    for (const char *timeout : kTransactionTimeouts)
        SetConfigOption(timeout, "0", PGC_SUSET, PGC_S_OVERRIDE);
}

}  // namespace rill
