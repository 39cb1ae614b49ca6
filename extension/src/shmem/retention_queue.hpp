// The streams of a database to which something was appended since retention last looked at them: for streams that have
// limits.
// An append adds its stream right after it has stored, before its transaction ends: the worker then finds the chunk
// decided, or undecided, and comes back for it (enforce_limits.cpp). So neither commit nor rollback, prepared or not,
// has anything to do.
// Full, or a database without a slot: the worker walks over all streams with limits instead.
// Beside it, a second such set: the streams that stream_touch() was called for.
#pragma once
#include "core/id_set.hpp"
#include "shmem/database_slot.hpp"

namespace rill {

// Which streams with limits a walk of the worker visits.
enum class Walk : uint32 {
    none,
    appended,  // those that an append may have made due sooner than was recorded
    all,       // those whose schedule may be wrong, too
};

// None can fail. A null slot is allowed.
void queue_for_retention(DatabaseSlot *slot, int64 stream_id);
void queue_walk(DatabaseSlot *slot, Walk walk);
// For stream_touch(): the worker will record that the stream was used. False if there is no room.
bool queue_touch(DatabaseSlot *slot, int64 stream_id);
bool is_touch_queued(DatabaseSlot *slot, int64 stream_id);
// Has the launcher visit the database: sessions have set limits or deleted a stream.
void request_visit(DatabaseSlot *slot);

// For the worker. Takes ids out of the queue, beginning with *position 0; false when there are no more.
bool take_for_retention(DatabaseSlot *slot, uint32 *position, int64 *ids, int room, int *count);
bool take_touched(DatabaseSlot *slot, uint32 *position, int64 *ids, int room, int *count);
// The walk that is queued; none is afterwards. Without a slot there is always one.
Walk take_walk(DatabaseSlot *slot);

void clear_retention_queue(DatabaseSlot *slot);  // of a slot that another database takes
void request_retention_queues();
void attach_retention_queues();

}  // namespace rill
