// See insert_chunks.hpp. A single chunk's row is formed before the lock and completed under it, and so are those for a
// table with additions of users; larger batches are formed and stored page by page. Must survive: an error between the
// heap row and the index entry (the row dies with its transaction), data that is toasted, compressed or large, and rows
// of others that have the same ids (store_rows.hpp).
#include "write/insert_chunks.hpp"

#include "shmem/shared_state.hpp"
#include "tables/catalog.hpp"

namespace rill {

namespace {

constexpr int kMultiInsert = 128;  // rows for each heap_multi_insert

// The columns before `data` have fixed widths and are never null.
constexpr Size kIdOffset = 8;
constexpr Size kAppendedAtOffset = 24;

constexpr bool kLate[kChunkColumns] = {false, true, false, true, false, false};
static_assert(kLate[kChunkId - 1] && kLate[kChunkAppendedAt - 1]);

// Compresses large data before the append lock is taken.
Datum ready_to_store(Relation chunks, Datum data) {
    const auto *value = reinterpret_cast<const varlena *>(DatumGetPointer(data));
    if (VARATT_IS_EXTERNAL(value))
        data = PointerGetDatum(detoast_external_attr(reinterpret_cast<varlena *>(DatumGetPointer(data))));
    value = reinterpret_cast<const varlena *>(DatumGetPointer(data));
    if (VARATT_IS_COMPRESSED(value) || VARSIZE_ANY(value) <= TOAST_TUPLE_TARGET)
        return data;
    const auto *column = TupleDescAttr(RelationGetDescr(chunks), kChunkData - 1);
    if (column->attstorage != TYPSTORAGE_EXTENDED && column->attstorage != TYPSTORAGE_MAIN)
        return data;
    const Datum compressed = toast_compress_datum(data, column->attcompression);
    return DatumGetPointer(compressed) != nullptr ? compressed : data;
}

void set_id_and_time(HeapTuple tuple, int64 id, TimestampTz now) {
    char *const row = reinterpret_cast<char *>(tuple->t_data) + tuple->t_data->t_hoff;
    memcpy(row + kIdOffset, &id, sizeof(id));
    memcpy(row + kAppendedAtOffset, &now, sizeof(now));
}

template <typename T>
T *array_of(int count) {
    return static_cast<T *>(palloc(sizeof(T) * static_cast<Size>(count)));
}

}  // namespace

void ChunkInsert::prepare(int64 stream_id, const ChunkBatch &batch) {
    if (chunks_ != nullptr)
        return;
    chunks_ = table_open(tables().chunk, RowExclusiveLock);
    const Relation chunks = chunks_;
    plain_ = batch.count == 0 || is_plain(chunks, kChunkColumns);
    indexes_.open(chunks, plain_);
    stream_id_ = stream_id;
    epoch_ = epoch_of(RelationGetRelid(chunks), stream_id);
    count_ = batch.count;
    eof_ = batch.eof;
    stored_ = 0;
    const bool single = count_ == 1;
    data_ = single ? &only_data_ : array_of<Datum>(count_);
    tids_ = single ? &only_tid_ : array_of<ItemPointerData>(count_);
    for (int i = 0; i < count_; ++i)
        data_[i] = ready_to_store(chunks, batch.data[i]);
    rows_ = nullptr;
    if (plain_ && single) {
        only_row_ = form(0, 0, 0);
        rows_ = &only_row_;
    }
    if (plain_)
        return;
    rows_ = single ? &only_row_ : array_of<HeapTuple>(count_);
    additions_.begin(chunks, kChunkColumns, kLate, indexes_);
    for (int i = 0; i < count_; ++i) {
        CHECK_FOR_INTERRUPTS();
        rows_[i] = form_with_additions(i);
    }
}

bool ChunkInsert::store(int64 first_id) {
    return rows_ != nullptr || is_decoded(chunks_) ? store_rows(first_id) : store_many(first_id);
}

void ChunkInsert::remove() {
    if (stored_ > 0)
        remove_rows(chunks_, tids_, stored_);
    stored_ = 0;
}

void ChunkInsert::finish() {
    if (chunks_ == nullptr)
        return;
    if (!plain_) {
        for (int i = 0; i < stored_; ++i) {
            CHECK_FOR_INTERRUPTS();
            additions_.check(rows_[i]);
        }
        additions_.end(stored_ > 0);
    }
    for (int i = 0; rows_ != nullptr && i < count_; ++i)
        heap_freetuple(rows_[i]);
    indexes_.close();
    table_close(chunks_, NoLock);
    chunks_ = nullptr;
}

HeapTuple ChunkInsert::form(int64 id, TimestampTz now, int n) const {
    Datum values[kChunkColumns] = {Int64GetDatum(stream_id_), Int64GetDatum(id),       Int32GetDatum(epoch_),
                                   TimestampTzGetDatum(now),  BoolGetDatum(is_eof(n)), data_[n]};
    bool nulls[kChunkColumns] = {};
    return heap_form_tuple(RelationGetDescr(chunks_), values, nulls);
}

HeapTuple ChunkInsert::form_with_additions(int n) {
    const Datum values[kChunkColumns] = {Int64GetDatum(stream_id_), 0,       Int32GetDatum(epoch_), 0,
                                         BoolGetDatum(is_eof(n)),   data_[n]};
    constexpr bool kNoNulls[kChunkColumns] = {};
    return additions_.complete(values, kNoNulls, kLate);
}

// One by one.
bool ChunkInsert::store_rows(int64 first_id) {
    const TimestampTz now = GetCurrentTimestamp();  // under the lock: times in a stream do not go back
    for (stored_ = 0; stored_ < count_; ++stored_) {
        if (count_ > 1)
            CHECK_FOR_INTERRUPTS();
        const int64 id = first_id + stored_;
        const Datum keys[2] = {Int64GetDatum(stream_id_), Int64GetDatum(id)};
        const HeapTuple row = rows_ != nullptr ? rows_[stored_] : form(id, now, stored_);
        set_id_and_time(row, id, now);
        if (!store_row(chunks_, indexes_, row, keys)) {
            remove();
            return false;
        }
        tids_[stored_] = row->t_self;
        if (rows_ == nullptr)
            heap_freetuple(row);
    }
    return true;
}

bool ChunkInsert::store_many(int64 first_id) {
    const CommandId command = GetCurrentCommandId(true);
    const TimestampTz now = GetCurrentTimestamp();
    const int room = Min(count_, kMultiInsert);
    TupleTableSlot *slots[kMultiInsert];
    for (int i = 0; i < room; ++i)
        slots[i] = MakeSingleTupleTableSlot(RelationGetDescr(chunks_), &TTSOpsHeapTuple);
    const BulkInsertState bulk = count_ > kMultiInsert ? GetBulkInsertState() : nullptr;
    bool alone = true;
    for (stored_ = 0; alone && stored_ < count_;) {
        CHECK_FOR_INTERRUPTS();
        const int n = Min(room, count_ - stored_);
        for (int i = 0; i < n; ++i)
            ExecForceStoreHeapTuple(form(first_id + stored_ + i, now, stored_ + i), slots[i], true);
        heap_multi_insert(chunks_, slots, n, command, 0, bulk);
        for (int i = 0; i < n; ++i)
            tids_[stored_ + i] = slots[i]->tts_tid;
        for (int i = 0; alone && i < n; ++i) {
            const Datum keys[2] = {Int64GetDatum(stream_id_), Int64GetDatum(first_id + stored_ + i)};
            alone = insert_keys(chunks_, indexes_, &tids_[stored_ + i], keys);
        }
        stored_ += n;
    }
    if (bulk != nullptr)
        FreeBulkInsertState(bulk);
    for (int i = 0; i < room; ++i)
        ExecDropSingleTupleTableSlot(slots[i]);
    if (!alone)
        remove();
    return alone;
}

}  // namespace rill
