// Wakes the readers of streams: directly those that wait in this server, and through the notifier those that listen.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

struct ChangedStream {
    uint64 key;  // StreamName::key
    int64 stream_id;
    int level;  // nesting level of the subtransaction that changed it first
};

// What the readers are to find must already be visible. Cannot fail.
void wake_readers(const ChangedStream *streams, int count);
void wake_all_readers();  // of this database

}  // namespace rill
