// Sessions registered by stream_listen(). While a database has one, its notifier turns the queue of changed streams
// into NOTIFYs.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

inline constexpr const char *kChannel = "pg_rill";

// The session has executed UNLISTEN for our channel or for all channels (DISCARD ALL does that). Its registration ends
// when the transaction commits.
void session_unlistened();

// From the transaction callbacks: a registration or its end takes effect at commit.
void listen_transaction_ended(bool committed);
void listen_subtransaction_ended(bool committed, int level);

}  // namespace rill
