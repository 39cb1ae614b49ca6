// The chunks of a stream after a cursor, one after the other, until a cap is reached or the stable prefix ends
// (chunk_scan.hpp has the argument). At least one chunk, unless the first is larger than the caller allows it to be.
//
// Must survive: an end of the scan long after its start (the scan is of one snapshot, so rows that come later do not
// matter; recheck_end() says what may), and a rewind, which gives the same chunks again and no others.
#pragma once
#include "read/stream_hint.hpp"

namespace rill {

struct Caps {
    int64 chunks;
    int64 bytes;
    int64 first = PG_INT64_MAX;  // the first chunk may have so many bytes, whatever `bytes` says
};

class StablePrefixScan {
public:
    void start(ReadSnapshot *snapshot, const VisibleStream &stream, const StreamHint &hint, int64 cursor,
               const Caps &caps);
    // The next chunk is in chunk().
    bool next();
    [[nodiscard]] const ChunkScan &chunk() const { return *scan_; }
    // After next() was false: tells other sessions how far the stream was found readable, if that is further than the
    // hint said.
    void note_readable() const;
    [[nodiscard]] int64 count() const { return count_; }
    // What remains of the caps. The bytes are negative when the first chunk was larger.
    [[nodiscard]] Caps left() const { return left_; }
    // After next() was false: for a cap, so there may be more.
    [[nodiscard]] bool cut() const { return !drained_; }

    // The same chunks once more, from the first: no further than before, though what ended the prefix may be decided.
    void rewind();
    // After next() was false, if it met a chunk that may still appear: searches again after the last chunk given. An
    // index entry that the scan read ahead can have been vacuumed meanwhile, and its place taken by a later row.
    bool recheck_end();

private:
    ReadSnapshot *snapshot_;
    ChunkScan *scan_;
    VisibleStream stream_;
    int64 cursor_;
    int64 decided_;  // what the hint said
    Caps caps_;
    Caps left_;
    int64 count_;
    int64 last_;
    int64 until_;   // where it ended the first time
    bool ended_;    // next() has been false
    bool drained_;  // because the prefix ended, not for a cap
};
static_assert(std::is_trivially_destructible_v<StablePrefixScan>);

// Tells other sessions, through the id cache, what a scan from `cursor` learnt: it found every id up to `last` decided.
// Only a scan that reached the end of the stream (`complete`) says so of all ids below `last`.
void note_readable_after(ReadSnapshot &snapshot, const VisibleStream &stream, int64 cursor, int64 last, bool complete);

struct PrefixRead {
    int64 count;
    bool cut;  // by a cap: there may be more
};

// Hands the chunks of a StablePrefixScan to `take(scan)`; `caps` is lowered by what was used.
template <typename Take>
PrefixRead read_prefix(ReadSnapshot &snapshot, const VisibleStream &stream, const StreamHint &hint, int64 cursor,
                       Caps *caps, Take take);

inline bool StablePrefixScan::next() {
    if (ended_)
        return false;
    ended_ = true;
    if (last_ >= until_ || (count_ > 0 && left_.chunks <= 0))
        return false;
    if (!scan_->next()) {
        drained_ = true;
        return false;
    }
    const int64 size = scan_->size();
    if (size > (count_ > 0 ? left_.bytes : caps_.first))
        return false;
    ended_ = false;
    last_ = scan_->id();
    ++count_;
    --left_.chunks;
    left_.bytes -= size;
    return true;
}

template <typename Take>
PrefixRead read_prefix(ReadSnapshot &snapshot, const VisibleStream &stream, const StreamHint &hint, int64 cursor,
                       Caps *caps, Take take) {
    StablePrefixScan prefix;
    prefix.start(&snapshot, stream, hint, cursor, *caps);
    while (prefix.next())
        take(prefix.chunk());
    prefix.note_readable();
    *caps = prefix.left();
    return {prefix.count(), prefix.cut()};
}

}  // namespace rill
