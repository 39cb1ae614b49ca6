// Waking the readers of streams: the sessions that wait for them in this server, directly, and through the notifier
// whoever listens.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

struct ChangedStream {
    uint64 key;  // StreamName::key
    int64 stream_id;
    int level;  // nesting level of the subtransaction that changed it first
};

// What they are to see must be visible already. Cannot fail.
void wake_readers(const ChangedStream *streams, int count);
void wake_all_readers();  // of this database

}  // namespace rill
