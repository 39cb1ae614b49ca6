// The process that removes, one for the server, and the transactions that its passes are made of.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

inline constexpr const char *kRetentionType = "pg_rill retention";
inline constexpr int kLockTimeout = 1000;         // ms; rows and tables are locked only if they are free
inline constexpr int kTransactionTimeout = 5000;  // ms; for what users' expressions and triggers do

enum class BatchStart : uint8 {
    begun,          // a transaction, with the extension's tables locked against DROP
    not_installed,  // no extension in this database
    tables_locked,  // another session holds a lock that conflicts
};
BatchStart begin_batch();
void commit_batch();
// The transaction has lasted a second: what is left is for the next one. Removing a large chunk takes thousands of
// times as long as removing a small one, so nothing else bounds a transaction well below its timeout.
bool batch_time_is_up();

// Runs `step`, which may begin and commit transactions. False when it raised an error; the transaction is then aborted,
// and the error reported in the server's log if `report` says so. The step, and what it calls, has only trivially
// destructible locals.
struct Step {
    void (*run)(void *state);
    bool (*report)(void *state);
    void *state;
};
bool attempt(const Step &step);

}  // namespace rill

extern "C" PGDLLEXPORT void pg_rill_retention_main(Datum database);
