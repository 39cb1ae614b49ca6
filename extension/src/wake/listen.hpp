// Sessions registered by stream_listen(): while a database has one, its worker turns the
// queue of touched streams into NOTIFYs.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

inline constexpr const char *kChannel = "pg_rill";

// From the transaction callbacks: a registration that was rolled back is taken back.
void listen_transaction_ended(bool committed);
void listen_subtransaction_ended(bool committed, int level);

}  // namespace rill
