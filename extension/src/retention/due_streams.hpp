// Which streams retention has to look at: those that are due, those of a walk, and when the next one is due.
// Each function runs in a transaction of the worker.
#pragma once
#include "shmem/retention_queue.hpp"

namespace rill {

struct DueStream {
    int64 id;
    TimestampTz due_at;
};

// Streams that are due by `until`, in the order of their due times and ids, behind (after_due, after_id); returns how
// many.
int list_due(TimestampTz after_due, int64 after_id, TimestampTz until, DueStream *streams, int room);

// Streams with limits and ids above `after`, in the order of their ids.
int list_for_walk(Walk walk, int64 after, int64 *ids, int room);

// The earliest due time after `after`; DT_NOEND: none.
TimestampTz next_due_after(TimestampTz after);

}  // namespace rill
