// See two_phase.hpp.
#include "wake/two_phase.hpp"

#include "shmem/id_cache.hpp"
#include "shmem/prepared_streams.hpp"
#include "shmem/retention_queue.hpp"
#include "wake/transaction_end.hpp"

namespace rill {

namespace {

uint64 preparing = 0;  // key of the identifier that this transaction is being prepared under; 0: none

}  // namespace

uint64 prepared_key(const char *gid) {
    if (shared == nullptr || max_prepared_xacts == 0 || gid == nullptr)
        return 0;
    return hash_bytes_extended(reinterpret_cast<const unsigned char *>(gid), static_cast<int>(strlen(gid)),
                               MyDatabaseId) |
           1;
}

void will_prepare(uint64 gid) {
    register_transaction_callbacks();
    preparing = gid;
}

void prepared_ended(uint64 gid) {
    if (gid == 0)
        return;
    PreparedStreams entry;
    (void) attach_database_slot(Retry::rarely);
    if (!take_prepared_streams(gid, &entry) || entry.count < 0) {
        forget_ids();  // chunks and limits may have been loaded
        queue_walk(my_database_slot(), Walk::all);
        wake_all_readers();
        return;
    }
    ChangedStream streams[PreparedStreams::kRoom];
    for (int i = 0; i < entry.count; ++i)
        streams[i] = {entry.keys[i], entry.stream_ids[i], 0};
    wake_readers(streams, entry.count);
    if (entry.retention)
        request_visit(my_database_slot());
}

void transaction_prepared(const ChangedStream *streams, int count, bool everything, bool retention) {
    if (preparing == 0)
        return;
    PreparedStreams entry = {preparing, 0,  everything || count > PreparedStreams::kRoom ? -1 : count,
                             retention, {}, {}};
    for (int i = 0; i < entry.count; ++i) {
        entry.keys[i] = streams[i].key;
        entry.stream_ids[i] = streams[i].stream_id;
    }
    store_prepared_streams(entry);
    preparing = 0;
}

}  // namespace rill
