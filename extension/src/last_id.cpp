// See last_id.hpp.
#include "last_id.hpp"

#include "catalog.hpp"
#include "chunk_scan.hpp"
#include "order_lock.hpp"

namespace rill {

SequenceView load_sequence(Relation chunks, const core::StreamKey &key, int64 trimmed_through) {
    SequenceView view = look_up(key);
    if (view.last_known || shared == nullptr || RecoveryInProgress())
        return view;
    // Only under the order lock does the index say which ids have been given.
    const OrderLock lock(key.stream);
    if (!lock.try_acquire())
        return view;
    view = look_up(key);
    if (!view.last_known) {
        const StreamFate fate = stream_fate(key.stream);
        const Tail tail = read_tail(chunks, key.stream);
        set_last_id(key, Max(tail.any ? tail.id : 0, Max(trimmed_through, fate.trimmed_through)),
                    tail.eof || TransactionIdIsValid(tail.undecided) || fate.deleted ||
                        TransactionIdIsValid(fate.undecided));
        view = look_up(key);
    }
    lock.release();
    return view;
}

}  // namespace rill
