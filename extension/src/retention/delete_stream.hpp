// Deletes a stream in three steps: it is replaced by a tombstone, its rows in the other tables are purged, and finally
// the tombstone is forgotten.
// Why ids continue after a delete (I4): the tombstone keeps the highest id ever given. That is read under the append
// lock, after the tombstone was written and the tail marked, so every later append finds the tombstone (stream_fate)
// and every earlier one has its id counted.
#pragma once
#include "base/arguments.hpp"
#include "retention/enforced.hpp"

namespace rill {

inline constexpr int kPurgeBatch = 1000;  // chunks or tombstones that the worker removes in one transaction

// False when the stream does not exist (any more), or, without `wait`, when another session has locked its row; or when
// a chunk above `idle_at` has been stored: the stream was to be deleted because it was idle then.
bool delete_stream(const StreamName &name, int64 stream_id, bool wait, int64 idle_at = PG_INT64_MAX);

// Deleted streams with ids above `after` that are not purged, in order of their ids; returns how many.
int list_unpurged(int64 after, int64 *ids, int room);

// Removes a batch of the remaining chunks of a deleted stream, and marks it as purged when that was the last. Waits for
// no other session.
Enforced purge_stream(int64 stream_id);

// Forgets tombstones older than `seconds`, at most a batch of them; returns how many. Locked ones are skipped.
int64 forget_tombstones(int seconds);

// When the next tombstone can be forgotten; DT_NOEND: there is none that is purged.
TimestampTz next_to_forget(int seconds);

}  // namespace rill
