// The process that removes, one for the server, and the transactions that its passes are made of.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

inline constexpr const char *kRetentionType = "pg_rill retention";

enum class BatchStart : uint8 {
    begun,          // a transaction, with the extension's tables locked against DROP
    not_installed,  // no extension in this database
    tables_locked,  // another session holds a lock that conflicts
};
BatchStart begin_batch();
void commit_batch();

}  // namespace rill

extern "C" PGDLLEXPORT void pg_rill_retention_main(Datum database);
