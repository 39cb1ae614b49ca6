// See stable_prefix_scan.hpp.
#include "read/stable_prefix_scan.hpp"

namespace rill {

void StablePrefixScan::start(ReadSnapshot *snapshot, const VisibleStream &stream, const StreamHint &hint, int64 cursor,
                             const Caps &caps) {
    snapshot_ = snapshot;
    scan_ = &snapshot->scan();
    stream_ = stream;
    cursor_ = cursor;
    decided_ = hint.decided(stream);
    caps_ = left_ = caps;
    count_ = last_ = 0;
    until_ = PG_INT64_MAX;
    ended_ = drained_ = false;
    scan_->start(stream.row.id, Max(cursor, stream.row.trimmed_through));
}

void StablePrefixScan::rewind() {
    if (ended_)
        until_ = last_;
    left_ = caps_;
    count_ = last_ = 0;
    ended_ = drained_ = false;
    scan_->start(stream_.row.id, Max(cursor_, stream_.row.trimmed_through));
}

bool StablePrefixScan::recheck_end() {
    if (!drained_ || !scan_->stopped())
        return false;
    ended_ = drained_ = false;
    scan_->start(stream_.row.id, last_);
    return next();
}

void StablePrefixScan::note_readable() const {
    if (last_ > decided_)
        note_readable_after(*snapshot_, stream_, cursor_, last_, drained_ && !scan_->stopped());
}

void note_readable_after(ReadSnapshot &snapshot, const VisibleStream &stream, int64 cursor, int64 last, bool complete) {
    if (shared == nullptr || last == 0 || !complete)
        return;
    // To us our own rows are decided; to everybody else they are not.
    if (TransactionIdIsValid(GetTopTransactionIdIfAny()))
        return;
    // Only what continues from ids already known to be decided says anything about all ids below.
    const core::StreamKey key = stream_key(RelationGetRelid(snapshot.chunks()), stream.row.id);
    const CachedIds ids = lookup_ids(key);
    if (cursor <= Max(ids.readable_through, stream.row.trimmed_through) && last > ids.readable_through)
        note_readable(key, last);
}

}  // namespace rill
