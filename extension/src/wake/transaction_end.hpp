// What happens when a transaction that touched streams ends: commit, abort, or ROLLBACK TO
// SAVEPOINT (each can free a held-back prefix) wakes the sessions waiting for those streams
// and hands the stream ids to the worker.
// Why it is right: CommitTransaction and AbortTransaction call these callbacks after
// ProcArrayEndTransaction, and AbortSubTransaction after the subtransaction is marked aborted,
// so a reader that is woken and takes a snapshot sees the end it was woken for.
// The callbacks run where an error would be fatal: they allocate nothing and raise nothing.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

struct Touched {
    uint64 key;
    int64 stream_id;
    int level;  // nesting level of the subtransaction that touched it first
};

// Wakes the sessions that wait for these streams, and hands the streams to the worker when somebody listens; with
// `everything` all of this database. What they are to see must be visible already. Cannot fail.
void wake_readers(const Touched *touched, int count, bool everything);

// Remembers that the current (sub)transaction appends to this stream. `mark` is a place that
// the caller keeps for the stream (0 at first), so that a stream is remembered once.
void note_touched(uint64 key, int64 stream_id, uint64 *mark);

// This transaction changes limits or leaves something to purge: told to the launcher when it commits. Cannot fail.
void want_retention();

// Makes sure the callbacks are registered in this session; also called before a wait.
void watch_transaction_ends();

}  // namespace rill
