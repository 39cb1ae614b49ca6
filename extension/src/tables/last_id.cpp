// See last_id.hpp.
#include "tables/last_id.hpp"

#include "tables/append_lock.hpp"
#include "tables/chunk_tail.hpp"
#include "tables/stream_rows.hpp"

namespace rill {

CachedIds load_cached_ids(Relation chunks, const core::StreamKey &key, int64 trimmed_through) {
    CachedIds view = lookup_ids(key);
    if (view.last_known || shared == nullptr || RecoveryInProgress())
        return view;
    // Only under the append lock does the index show which ids have been given.
    const AppendLock lock(key.stream);
    if (!lock.try_acquire())
        return view;
    view = lookup_ids(key);
    if (!view.last_known) {
        const Tail tail = read_tail(chunks, key.stream);  // before the row: see stream_fate()
        const StreamFate fate = stream_fate(key.stream);
        set_last_id(key, view, Max(tail.any ? tail.id : 0, Max(trimmed_through, fate.trimmed_through)),
                    tail.eof || TransactionIdIsValid(tail.undecided) || fate.deleted ||
                        TransactionIdIsValid(fate.undecided),
                    fate.limited);
        view = lookup_ids(key);
    }
    lock.release();
    return view;
}

}  // namespace rill
