// The rows of table stream_producer that an append leaves: one for its producer, one for its writer_seq. They are
// stored like chunks (insert_chunks.hpp): under the append lock, but without code of users, and without waiting for
// others who store such rows by hand.
#pragma once
#include "write/producer.hpp"
#include "write/user_additions.hpp"

namespace rill {

class ProducerRows {
public:
    // Before the append lock, but after ChunkInsert::prepare(). Either may be null. Does nothing if this is prepared
    // already.
    void prepare(int64 stream_id, const Producer *producer, const WriterSeq *writer_seq);
    // Under it, after the chunks, of which the last one has this id. False when others have stored such a row: then
    // nothing is stored, and the checks that came before are out of date.
    [[nodiscard]] bool store(int64 chunk_id);
    // After it, whether or not something is stored, and before ChunkInsert::finish(), since triggers are queued by
    // nested levels: checks what users have added to the table.
    void finish();

private:
    struct Row {
        Datum values[kProducerColumns];
        bool nulls[kProducerColumns];
        HeapTuple tuple;  // with what users have added; null: formed under the lock
    };
    void add(const Datum (&values)[kProducerColumns], bool no_writer_seq);
    [[nodiscard]] HeapTuple form(const Row &row, int64 chunk_id) const;
    [[nodiscard]] bool is_of_writer_seq(const Row &row) const { return !row.nulls[kProducerWriterSeq - 1]; }

    Relation table_ = nullptr;  // set while this is prepared
    KeyIndexes indexes_;
    bool plain_;  // the table is as the extension created it
    Row rows_[2];
    int count_;
    int stored_;
    UserAdditions additions_;  // unless plain_
};
static_assert(std::is_trivially_destructible_v<ProducerRows>);

}  // namespace rill
