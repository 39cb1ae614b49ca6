// The chunks of one append, stored in the table. Writers of one stream queue for its append lock, so as much as
// possible is done before it is taken, and users' code never runs under it (user_additions.hpp).
#pragma once
#include "write/store_rows.hpp"
#include "write/user_additions.hpp"

namespace rill {

struct ChunkBatch {
    const Datum *data;  // bytea, toasted or not; `count` of them
    int count;
    bool eof;  // on the last one
};

class ChunkInsert {
public:
    // Before the append lock. Does nothing if this is prepared already: an append that has had to wait has fired
    // triggers of users, which happens once.
    void prepare(int64 stream_id, const ChunkBatch &batch);
    // The table, open and locked for writing while this is prepared.
    [[nodiscard]] Relation chunks() const { return chunks_; }
    [[nodiscard]] bool is_for_other(int64 stream_id) const { return chunks_ != nullptr && stream_id_ != stream_id; }
    // Under it: stores the chunks with ids from `first_id` on. False when others have stored rows with such ids: then
    // nothing is stored, and it may be called again with other ids.
    [[nodiscard]] bool store(int64 first_id);
    // Under it, after store(): nothing is stored after all.
    void remove();
    // After it, whether or not something is stored: checks what users have added to the table.
    void finish();

private:
    bool store_rows(int64 first_id);
    bool store_many(int64 first_id);
    [[nodiscard]] HeapTuple form(int64 id, TimestampTz now, int n) const;
    [[nodiscard]] HeapTuple form_with_additions(int n);
    [[nodiscard]] bool is_eof(int n) const { return eof_ && n + 1 == count_; }

    Relation chunks_ = nullptr;  // set while this is prepared
    KeyIndexes indexes_;
    int64 stream_id_;
    int32 epoch_;
    int count_;
    bool eof_;
    bool plain_;             // the table is as the extension created it
    Datum *data_;            // ready to be stored
    HeapTuple *rows_;        // without ids and times; null: they are formed under the lock
    ItemPointerData *tids_;  // of the rows of a batch
    int stored_;             // rows that are in the table
    Datum only_data_;        // where the arrays point for a single chunk
    HeapTuple only_row_;
    ItemPointerData only_tid_;
    UserAdditions additions_;  // unless plain_
};
static_assert(std::is_trivially_destructible_v<ChunkInsert>);

}  // namespace rill
