// The stable prefix of a stream (promise I2): the only place that decides whether a chunk may be returned.
//
// Why it is right. Appenders put row k into heap, index and WAL before row k+1 (append.cpp).
// The snapshot S is taken before the scan begins. If chunk m is visible under S, its inserter
// committed before S, so every k < m was physically there before the scan began: the forward
// scan meets it, and it is either decided under S or stops the scan. B-tree scans return every
// entry that was there when they began, also across page splits; entries are removed only when
// the row is dead to all snapshots, which is decided. On a hot standby WAL is replayed in the same
// order, so the same holds.
//
// A row that S does not show, by its inserter:
//   frozen                                  -> committed, so the row was deleted: skip
//   this transaction, an earlier command    -> deleted by itself: skip
//   this transaction, this or a later one   -> stop
//   a rolled-back savepoint of its own      -> skip
//   running, prepared or later than S       -> stop; if it is known to have aborted since, a read under READ COMMITTED
//                                              skips. Under REPEATABLE READ S alone decides, so that reads repeat: the
//                                              prefix grows only where such a row has been vacuumed meanwhile.
//   anything else                           -> committed and deleted, or aborted, or crashed: skip
#pragma once
#include "base/postgres_api.hpp"
#include "tables/catalog.hpp"

namespace rill {

class ChunkScan {
public:
    // `chunks` stays open, and `snapshot` registered or active, until end(). One scan can be restarted for other
    // streams. After an error the server cleans up.
    void open(Relation chunks, Snapshot snapshot);
    // Forward over the chunks of a stream with an id above `after`.
    void start(int64 stream_id, int64 after) {
        if (state_ != State::unread || stream_id != stream_id_ || after != after_)
            search(stream_id, after);
    }
    // The next chunk of the stable prefix is in slot(); false at its end.
    bool next();
    // After next() was true for the first time: a start() at the same place gives the chunk again, without searching.
    void unread() { state_ = State::unread; }
    // Why next() was false: a chunk that may still appear, or no further chunk.
    [[nodiscard]] bool stopped() const { return state_ == State::stopped; }
    // The highest visible chunk at or below `id`, with no stop rule: only for ids known to be decided.
    bool last_at_or_below(int64 stream_id, int64 id);
    // After last_at_or_below() was true: the next lower visible chunk.
    bool previous();
    // The lowest visible chunk at or above `id`, likewise with no stop rule.
    bool first_at_or_above(int64 stream_id, int64 id);
    // Exactly this chunk, if S shows it.
    bool exactly(int64 stream_id, int64 id);
    void end();

    [[nodiscard]] int64 id() const { return DatumGetInt64(attribute(kChunkId)); }
    [[nodiscard]] int32 epoch() const { return DatumGetInt32(attribute(kChunkEpoch)); }
    [[nodiscard]] TimestampTz appended_at() const { return DatumGetTimestampTz(attribute(kChunkAppendedAt)); }
    [[nodiscard]] bool eof() const { return DatumGetBool(attribute(kChunkEof)); }
    // Points into a buffer until the next call, and may be toasted.
    [[nodiscard]] Datum data() const { return attribute(kChunkData); }
    [[nodiscard]] ItemPointerData tid() const { return slot_->tts_tid; }
    // Bytes of the chunk's data, without fetching it.
    [[nodiscard]] int64 size() const { return static_cast<int64>(toast_raw_datum_size(data()) - VARHDRSZ); }

private:
    enum class State : uint8 { scanning, stopped, unread };
    // Columns are never null.
    [[nodiscard]] Datum attribute(ChunkColumn column) const {
        bool isnull;
        return slot_getattr(slot_, column, &isnull);
    }
    bool must_stop(ItemPointer tid);
    bool must_stop_at(HeapTuple tuple) const;
    void search(int64 stream_id, int64 after);
    void restart(int64 stream_id, StrategyNumber strategy, RegProcedure procedure, int64 id);

    Relation chunks_;
    Relation index_;
    Snapshot snapshot_;
    IndexScanDesc scan_;
    TupleTableSlot *slot_;
    TupleTableSlot *any_;  // for rows that S does not show; made when first needed
    int64 stream_id_;      // of the last start()
    int64 after_;
    State state_;
};
static_assert(std::is_trivially_destructible_v<ChunkScan>);

// The columns of the chunk table's primary key.
enum ChunkIndexColumn : AttrNumber { kIndexStream = 1, kIndexId, kIndexColumns = kIndexId };

// The primary key of one of our tables, wherever REINDEX CONCURRENTLY has put it.
Oid primary_key_of(Relation table);

}  // namespace rill
