// See producer_rows.hpp.
#include "write/producer_rows.hpp"

#include "tables/catalog.hpp"

namespace rill {

namespace {

// What is known only under the lock. A row of writer_seq has the chunk's id as its sequence.
constexpr bool kLate[kProducerColumns] = {false, false, false, false, true, false};
constexpr bool kLateOfWriterSeq[kProducerColumns] = {false, false, false, true, true, false};

}  // namespace

void ProducerRows::prepare(int64 stream_id, const Producer *producer, const WriterSeq *writer_seq) {
    if (table_ != nullptr || (producer == nullptr && writer_seq == nullptr))
        return;
    table_ = table_open(tables().producer, RowExclusiveLock);
    plain_ = is_plain(table_, kProducerColumns);
    indexes_.open(table_, plain_);
    count_ = stored_ = 0;
    if (!plain_)
        additions_.begin(table_, kProducerColumns, writer_seq != nullptr ? kLateOfWriterSeq : kLate, indexes_);
    if (producer != nullptr)
        add({Int64GetDatum(stream_id), PointerGetDatum(cstring_to_text_with_len(producer->name, producer->size)),
             Int64GetDatum(producer->epoch), Int64GetDatum(producer->seq), 0, 0},
            true);
    if (writer_seq != nullptr)
        add({Int64GetDatum(stream_id), PointerGetDatum(cstring_to_text_with_len(kNoProducer, 0)), 0, 0, 0,
             PointerGetDatum(cstring_to_text_with_len(writer_seq->data, writer_seq->size))},
            false);
}

void ProducerRows::add(const Datum (&values)[kProducerColumns], bool no_writer_seq) {
    Row *const row = &rows_[count_++];
    memcpy(row->values, values, sizeof(values));
    memset(row->nulls, 0, sizeof(row->nulls));
    row->nulls[kProducerWriterSeq - 1] = no_writer_seq;
    row->tuple =
        plain_ ? nullptr : additions_.complete(row->values, row->nulls, no_writer_seq ? kLate : kLateOfWriterSeq);
}

HeapTuple ProducerRows::form(const Row &row, int64 chunk_id) const {
    if (row.tuple == nullptr)
        return heap_form_tuple(RelationGetDescr(table_), const_cast<Datum *>(row.values),
                               const_cast<bool *>(row.nulls));
    int columns[] = {kProducerChunk, kProducerSeq};
    Datum values[] = {Int64GetDatum(chunk_id), row.values[kProducerSeq - 1]};
    bool nulls[] = {false, false};
    return heap_modify_tuple_by_cols(row.tuple, RelationGetDescr(table_), 2, columns, values, nulls);
}

bool ProducerRows::store(int64 chunk_id) {
    if (table_ == nullptr)
        return true;
    ItemPointerData tids[lengthof(rows_)];
    for (stored_ = 0; stored_ < count_; ++stored_) {
        Row &row = rows_[stored_];
        row.values[kProducerChunk - 1] = Int64GetDatum(chunk_id);
        if (is_of_writer_seq(row))
            row.values[kProducerSeq - 1] = Int64GetDatum(chunk_id);
        const HeapTuple tuple = form(row, chunk_id);
        if (!store_row(table_, indexes_, tuple, row.values)) {
            if (stored_ > 0)
                remove_rows(table_, tids, stored_);
            stored_ = 0;
            return false;
        }
        tids[stored_] = tuple->t_self;
        if (plain_)
            heap_freetuple(tuple);
        else
            row.tuple = tuple;
    }
    return true;
}

void ProducerRows::finish() {
    if (table_ == nullptr)
        return;
    if (!plain_) {
        for (int i = 0; i < stored_; ++i)
            additions_.check(rows_[i].tuple);
        additions_.end(stored_ > 0);
    }
    indexes_.close();
    table_close(table_, NoLock);
    table_ = nullptr;
}

}  // namespace rill
