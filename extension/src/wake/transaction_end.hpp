// What happens when a transaction that changed streams ends: commit, abort, or ROLLBACK TO SAVEPOINT (each can free a
// held-back prefix) wakes the readers of those streams.
// Why it is right: CommitTransaction and AbortTransaction call these callbacks after ProcArrayEndTransaction, and
// AbortSubTransaction after the subtransaction is marked aborted, so a reader that is woken and takes a snapshot sees
// the end it was woken for.
// The callbacks run where an error would be fatal: they allocate nothing and raise nothing.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

// Ensures that the callbacks are registered in this session. Also needed before a wait and before listening.
void register_transaction_callbacks();

// Records that the current (sub)transaction changes this stream. `mark` is a variable that the caller keeps for the
// stream (0 at first), so that a stream is recorded once.
void note_changed_stream(uint64 key, int64 stream_id, uint64 *mark);

// This transaction has changed chunks by other means than appends: the id cache is emptied now, for what is in the
// table already, and at the end, when sessions have filled it again beside us; then every reader is woken.
void note_loaded();

// This transaction changes limits or leaves something to purge: the launcher is told when it commits.
void request_retention();

}  // namespace rill
