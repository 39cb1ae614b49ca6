// Two-phase commit: COMMIT PREPARED and ROLLBACK PREPARED wake the readers of what the transaction touched.
// The transaction callbacks cannot see them: another session may run them, after a restart even. So a session that
// prepares leaves a note under the transaction's identifier, and a ProcessUtility hook finds it again.
// Why the note is there in time: PrepareTransaction() calls its callbacks before PostPrepare_Twophase() lets any
// other session end the transaction.
// Must survive: a note that is not there (prepared before a restart, or pushed out): then every reader of the database
// looks; a transaction ended where no hook runs (logical replication's apply): then recheck and poll find it.
#pragma once
#include "wake/transaction_end.hpp"

namespace rill {

void install_utility_hook();

// From the callback for a prepared transaction; cannot fail. `everything`: more was touched than is listed.
void transaction_prepared(const Touched *touched, int count, bool everything);

}  // namespace rill
