// See wake_readers.hpp.
#include "wake/wake_readers.hpp"

#include "base/settings.hpp"
#include "shmem/database_slot.hpp"
#include "shmem/wait_list.hpp"

namespace rill {

namespace {

bool has_listeners(DatabaseSlot *slot) { return slot != nullptr && pg_atomic_read_u32(&slot->listeners) > 0; }

void count_wakeups(DatabaseSlot *slot, int woken) {
    if (slot != nullptr && woken > 0)
        pg_atomic_fetch_add_u64(&slot->wakeups, woken);
}

}  // namespace

void wake_readers(const ChangedStream *streams, int count) {
    if (shared == nullptr || !wakeups)
        return;
    DatabaseSlot *slot = my_database_slot();
    pg_memory_barrier();  // the end is visible before we look for waiters
    int woken = 0;
    for (int i = 0; i < count; ++i)
        woken += wake_stream(streams[i].key);
    count_wakeups(slot, woken);
    if (!has_listeners(slot))
        return;
    int64 ids[64];
    for (int i = 0, n = 0; i < count; ++i) {
        ids[n++] = streams[i].stream_id;
        if (n == lengthof(ids) || i + 1 == count) {
            queue_wakeups(slot, ids, n);
            n = 0;
        }
    }
}

void wake_all_readers() {
    if (shared == nullptr || !wakeups)
        return;
    DatabaseSlot *slot = my_database_slot();
    pg_memory_barrier();
    count_wakeups(slot, wake_database(MyDatabaseId));
    if (has_listeners(slot))
        queue_everything(slot);
}

}  // namespace rill
