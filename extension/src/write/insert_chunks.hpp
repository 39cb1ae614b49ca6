// How the chunks of one append are stored in the table. Writers of one stream queue for its append lock, so as much as
// possible is done before it is taken.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

struct ChunkBatch {
    const Datum *data;  // bytea, toasted or not; `count` of them
    int count;
    bool eof;  // on the last one
};

class ChunkInsert {
public:
    // Before the append lock. `chunks` stays open, with RowExclusiveLock, until finish().
    void prepare(Relation chunks, int64 stream_id, const ChunkBatch &batch);
    // Under it: stores the chunks with ids from `first_id` on.
    void store(int64 first_id);
    // After it, whether or not store() was called.
    void finish();

private:
    void store_one(int64 id);
    void store_many(int64 first_id);
    void store_through_executor(int64 first_id);
    [[nodiscard]] HeapTuple form(int64 id, TimestampTz now, int n) const;
    void insert_index_entry(int64 id, ItemPointer tid);
    [[nodiscard]] bool is_eof(int n) const { return eof_ && n + 1 == count_; }

    Relation chunks_;
    Relation index_;  // null: the executor inserts, since the table has additions
    int64 stream_id_;
    int32 epoch_;
    int count_;
    bool eof_;
    Datum *data_;      // ready to be stored
    Datum only_;       // where data_ points for a single chunk
    HeapTuple tuple_;  // of a single chunk, without its id and time
};
static_assert(std::is_trivially_destructible_v<ChunkInsert>);

}  // namespace rill
