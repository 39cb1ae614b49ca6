// See transaction_end.hpp.
#include "wake/transaction_end.hpp"

#include "shmem/id_cache.hpp"
#include "shmem/retention_queue.hpp"
#include "shmem/wait_list.hpp"
#include "tables/stream_cache.hpp"
#include "wake/listen.hpp"
#include "wake/two_phase.hpp"
#include "wake/wake_readers.hpp"

namespace rill {

namespace {

// A transaction that changes more streams than this does not list the rest: every reader of the database is woken.
constexpr int kMaxListed = 100000;

// What the running transaction changed. The array is kept between transactions.
struct {
    ChangedStream *list;
    int count;
    int room;
    bool everything;  // more changed than the list holds
    bool loaded;      // note_loaded() was called
    bool retention;   // request_retention() was called
    uint64 serial;    // of this list: a caller's mark with another value belongs to an earlier list
} changed = {nullptr, 0, 0, false, false, false, 1};

void truncate_list(int count) {
    changed.count = count;
    ++changed.serial;
}

void wake_for_list(int first) {
    if (changed.loaded) {
        forget_ids();
        queue_walk(my_database_slot(), Walk::all);
    }
    if (changed.everything)
        wake_all_readers();
    else
        wake_readers(changed.list + first, changed.count - first);
}

void forget_changes() {
    changed.retention = false;
    changed.everything = changed.loaded = false;
    if (changed.count > 0)
        truncate_list(0);
}

extern "C" {

void rill_transaction_ended(XactEvent event, void *) {
    const bool committed = event == XACT_EVENT_COMMIT;
    switch (event) {
    case XACT_EVENT_COMMIT:
    case XACT_EVENT_ABORT:
        if (!committed)
            end_wait();
        listen_transaction_ended(committed);
        stream_cache_transaction_ended(committed);
        if (changed.count > 0 || changed.everything)
            wake_for_list(0);
        if (changed.retention && committed)
            request_visit(my_database_slot());
        forget_changes();
        break;
    case XACT_EVENT_PREPARE:
        listen_transaction_ended(true);
        stream_cache_transaction_ended(false);
        transaction_prepared(changed.list, changed.count, changed.everything, changed.retention);
        forget_changes();
        break;
    default:
        break;
    }
}

void rill_subtransaction_ended(SubXactEvent event, SubTransactionId, SubTransactionId, void *) {
    const int level = GetCurrentTransactionNestLevel();
    int first = changed.count;
    switch (event) {
    case SUBXACT_EVENT_ABORT_SUB:
        end_wait_of_level(level);
        stream_cache_subtransaction_aborted();
        listen_subtransaction_ended(false, level);
        while (first > 0 && changed.list[first - 1].level >= level)
            --first;
        if (first < changed.count || changed.everything)
            wake_for_list(first);
        if (first < changed.count)
            truncate_list(first);
        break;
    case SUBXACT_EVENT_COMMIT_SUB:
        listen_subtransaction_ended(true, level);
        for (; first > 0 && changed.list[first - 1].level >= level; --first)
            changed.list[first - 1].level = level - 1;
        break;
    default:
        break;
    }
}

}  // extern "C"

}  // namespace

void register_transaction_callbacks() {
    static bool registered = false;
    if (registered)
        return;
    RegisterXactCallback(rill_transaction_ended, nullptr);
    RegisterSubXactCallback(rill_subtransaction_ended, nullptr);
    registered = true;
}

void note_changed_stream(uint64 key, int64 stream_id, uint64 *mark) {
    // One entry is enough even across nesting levels: while an earlier change of the same stream is undecided, its
    // lower id holds the prefix back, so the end of a later one makes nothing readable.
    if (*mark == changed.serial || changed.everything || shared == nullptr)
        return;
    if (changed.count >= kMaxListed) {
        changed.everything = true;
        return;
    }
    if (changed.count == 0)
        (void) attach_database_slot(Retry::rarely);  // here, since the callbacks must not
    if (changed.count == changed.room) {
        const int room = Max(16, changed.room * 2);
        const Size size = sizeof(ChangedStream) * static_cast<Size>(room);
        changed.list = static_cast<ChangedStream *>(changed.list == nullptr ? MemoryContextAlloc(TopMemoryContext, size)
                                                                            : repalloc(changed.list, size));
        changed.room = room;
    }
    changed.list[changed.count++] = ChangedStream{key, stream_id, GetCurrentTransactionNestLevel()};
    *mark = changed.serial;
}

void note_loaded() {
    register_transaction_callbacks();
    queue_walk(attach_database_slot(Retry::rarely), Walk::all);  // chunks of other streams are there already
    forget_ids();
    changed.everything = changed.loaded = shared != nullptr;
}

void request_retention() {
    register_transaction_callbacks();
    (void) attach_database_slot(Retry::rarely);
    changed.retention = true;
}

}  // namespace rill
