// Two-phase commit: COMMIT PREPARED and ROLLBACK PREPARED wake the readers of what the transaction changed.
// The transaction callbacks do not see these commands: another session may run them, even after a restart. So a session
// that prepares stores the streams under the transaction's identifier (shmem/prepared_streams.hpp), and the utility
// hook looks them up there.
// Why they are stored in time: PrepareTransaction() calls its callbacks before PostPrepare_Twophase() lets any other
// session end the transaction.
// Must survive: a missing entry (prepared before a restart, or overwritten), when every reader of the database is
// woken; and a transaction that ends where no hook runs (logical replication's apply), when recheck and poll find its
// chunks.
#pragma once
#include "wake/wake_readers.hpp"

namespace rill {

// From the utility hook. The key of a transaction identifier; 0 when nothing has to be recorded.
uint64 prepared_key(const char *gid);
void will_prepare(uint64 gid);    // PREPARE TRANSACTION is about to run; the transaction is prepared after it
void prepared_ended(uint64 gid);  // COMMIT PREPARED or ROLLBACK PREPARED has run

// From the callback for a prepared transaction; cannot fail. `everything`: more was changed than is listed.
// `retention`: it has called request_retention().
void transaction_prepared(const ChangedStream *streams, int count, bool everything, bool retention);

}  // namespace rill
