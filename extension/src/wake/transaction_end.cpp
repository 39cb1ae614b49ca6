// See transaction_end.hpp.
#include "wake/transaction_end.hpp"

#include "shmem/database_slot.hpp"
#include "wake/listen.hpp"
#include "base/settings.hpp"
#include "tables/stream_cache.hpp"
#include "wake/two_phase.hpp"
#include "shmem/wait_list.hpp"

namespace rill {

namespace {

// More streams than this in one transaction are not listed any more: everybody is woken.
constexpr int kMostTouched = 100000;

struct {
    Touched *list;
    int count;
    int room;
    bool everything;
    uint64 serial;  // marks of earlier lists are not ours
    bool retention;
    bool watching;
} touched = {nullptr, 0, 0, false, 1, false, false};

void forget_from(int first) {
    touched.count = first;
    ++touched.serial;
}

// Wakes for list[first..]; the list itself is the caller's to cut.
void wake_from(int first) { wake_readers(touched.list + first, touched.count - first, touched.everything); }

extern "C" {

void rill_transaction_ended(XactEvent event, void *) {
    switch (event) {
    case XACT_EVENT_COMMIT:
    case XACT_EVENT_ABORT:
        if (event == XACT_EVENT_ABORT)
            end_wait();
        listen_transaction_ended(event == XACT_EVENT_COMMIT);
        stream_cache_transaction_ended(event == XACT_EVENT_COMMIT);
        if (touched.count > 0)
            wake_from(0);
        if (touched.retention && event == XACT_EVENT_COMMIT && my_database_slot() != nullptr)
            pg_atomic_write_u32(&my_database_slot()->retention_wanted, 1);
        touched.retention = false;
        touched.everything = false;
        if (touched.count > 0)
            forget_from(0);
        break;
    case XACT_EVENT_PREPARE:
        stream_cache_transaction_ended(false);
        listen_transaction_ended(true);
        transaction_prepared(touched.list, touched.count, touched.everything);
        touched.retention = false;
        touched.everything = false;
        forget_from(0);
        break;
    default:
        break;
    }
}

void rill_subtransaction_ended(SubXactEvent event, SubTransactionId, SubTransactionId, void *) {
    const int level = GetCurrentTransactionNestLevel();
    int first = touched.count;
    switch (event) {
    case SUBXACT_EVENT_ABORT_SUB:
        end_wait_of_level(level);
        stream_cache_subtransaction_aborted();
        listen_subtransaction_ended(false, level);
        while (first > 0 && touched.list[first - 1].level >= level)
            --first;
        if (first < touched.count) {
            wake_from(first);
            forget_from(first);
        }
        break;
    case SUBXACT_EVENT_COMMIT_SUB:
        listen_subtransaction_ended(true, level);
        for (; first > 0 && touched.list[first - 1].level >= level; --first)
            touched.list[first - 1].level = level - 1;
        break;
    default:
        break;
    }
}

}  // extern "C"

}  // namespace

void wake_readers(const Touched *list, int count, bool everything) {
    if (shared == nullptr || !wakeups)
        return;
    DatabaseSlot *slot = my_database_slot();
    int woken = 0;
    pg_memory_barrier();  // the end is visible before we look for waiters
    if (everything)
        woken = wake_database(MyDatabaseId);
    else
        for (int i = 0; i < count; ++i)
            woken += wake_stream(list[i].key);
    if (slot == nullptr)
        return;
    if (woken > 0)
        pg_atomic_fetch_add_u64(&slot->wakeups, woken);
    if (pg_atomic_read_u32(&slot->listeners) == 0)
        return;
    if (everything)
        queue_wakeups(slot, nullptr, 0, true);
    int64 ids[64];
    for (int i = 0, n = 0; !everything && i < count; ++i) {
        ids[n++] = list[i].stream_id;
        if (n == lengthof(ids) || i + 1 == count) {
            queue_wakeups(slot, ids, n, false);
            n = 0;
        }
    }
}

void want_retention() {
    watch_transaction_ends();
    (void) attach_database_slot();
    touched.retention = true;
}

void watch_transaction_ends() {
    if (touched.watching)
        return;
    RegisterXactCallback(rill_transaction_ended, nullptr);
    RegisterSubXactCallback(rill_subtransaction_ended, nullptr);
    touched.watching = true;
}

void note_touched(uint64 key, int64 stream_id, uint64 *mark) {
    // Once is enough also across levels: while an earlier touch of the same stream is undecided,
    // its lower id holds the prefix back, so the end of a later one frees nothing.
    if (*mark == touched.serial || touched.everything || shared == nullptr)
        return;
    if (touched.count >= kMostTouched) {
        touched.everything = true;
        return;
    }
    if (touched.count == 0)
        (void) attach_database_slot();  // here, since the callbacks must not
    if (touched.count == touched.room) {
        const int room = Max(16, touched.room * 2);
        const Size size = sizeof(Touched) * static_cast<Size>(room);
        touched.list = static_cast<Touched *>(touched.list == nullptr ? MemoryContextAlloc(TopMemoryContext, size)
                                                                      : repalloc(touched.list, size));
        touched.room = room;
    }
    touched.list[touched.count++] = Touched{key, stream_id, GetCurrentTransactionNestLevel()};
    *mark = touched.serial;
}

}  // namespace rill
