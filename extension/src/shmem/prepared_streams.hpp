// Which streams each prepared transaction changed, so that the session that ends it can wake their readers, and request
// retention.
// An entry is only a hint: a session that finds none wakes every reader of the database, and has retention walk over
// all streams.
// Full: the oldest entry is overwritten, since a prepared transaction can end without our knowledge.
#pragma once
#include "shmem/shared_state.hpp"

namespace rill {

struct PreparedStreams {
    static constexpr int kRoom = 16;
    uint64 gid;      // hash of database and transaction identifier; 0: free
    uint64 serial;   // set by store_prepared_streams()
    int count;       // -1: more streams than there is room for
    bool retention;  // it set limits or deleted a stream
    uint64 keys[kRoom];
    int64 stream_ids[kRoom];
};

// Neither can fail: the first runs in a transaction callback.
void store_prepared_streams(const PreparedStreams &entry);
// Removes the entry of this identifier; false when there is none.
bool take_prepared_streams(uint64 gid, PreparedStreams *entry);

void request_prepared_streams();
void attach_prepared_streams();

}  // namespace rill
