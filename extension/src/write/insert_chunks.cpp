// See insert_chunks.hpp. Chunks are inserted in one of three ways: one chunk, many chunks, or into a table to which a
// user has added indexes, triggers, columns or constraints. The first two rely on the table being as the extension
// created it, and insert the heap row and its one index entry themselves; the third uses the executor, as logical
// replication does. Must survive: an error between the heap row and the index entry (the row dies with its
// transaction), and data that is toasted, compressed or large.
#include "write/insert_chunks.hpp"

#include "shmem/shared_state.hpp"
#include "tables/catalog.hpp"
#include "tables/chunk_scan.hpp"
#include "tables/spi.hpp"

namespace rill {

namespace {

constexpr int kMultiInsert = 128;  // rows for each heap_multi_insert

// The columns before `data` have fixed widths and are never null.
constexpr Size kIdOffset = 8;
constexpr Size kAppendedAtOffset = 24;

// The table is as the extension created it: one index, no added triggers, columns or constraints.
bool is_plain(Relation chunks) {
    if (chunks->trigdesc != nullptr)
        for (int i = 0; i < chunks->trigdesc->numtriggers; ++i) {
            const Trigger &trigger = chunks->trigdesc->triggers[i];
            const char quiet = SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA ? TRIGGER_FIRES_ON_ORIGIN
                                                                                          : TRIGGER_FIRES_ON_REPLICA;
            // The extension's own trigger reports rows stored by other means; a restore with --disable-triggers leaves
            // it enabled everywhere.
            if (TRIGGER_FOR_ROW(trigger.tgtype) && TRIGGER_FOR_INSERT(trigger.tgtype) && trigger.tgenabled != quiet &&
                trigger.tgenabled != TRIGGER_DISABLED && strcmp(trigger.tgname, "chunk_replicated") != 0)
                return false;
        }
    const TupleConstr *constraints = chunks->rd_att->constr;
    if (RelationGetDescr(chunks)->natts != kChunkColumns || chunks->rd_rel->relispartition ||
        (constraints != nullptr && (constraints->num_check > 0 || constraints->has_generated_stored)))
        return false;
    (void) chunk_index(chunks);
    return list_length(chunks->rd_indexlist) == 1;
}

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

}  // namespace

void ChunkInsert::prepare(Relation chunks, int64 stream_id, const ChunkBatch &batch) {
    chunks_ = chunks;
    index_ = is_plain(chunks) ? index_open(chunk_index(chunks), RowExclusiveLock) : nullptr;
    stream_id_ = stream_id;
    epoch_ = epoch_of(RelationGetRelid(chunks), stream_id);
    count_ = batch.count;
    eof_ = batch.eof;
    data_ = count_ == 1 ? &only_ : static_cast<Datum *>(palloc(sizeof(Datum) * static_cast<Size>(count_)));
    for (int i = 0; i < count_; ++i)
        data_[i] = ready_to_store(chunks, batch.data[i]);
    tuple_ = index_ != nullptr && count_ == 1 ? form(0, 0, 0) : nullptr;
}

void ChunkInsert::store(int64 first_id) {
    if (tuple_ != nullptr)
        store_one(first_id);
    else if (index_ != nullptr)
        store_many(first_id);
    else
        store_through_executor(first_id);
}

void ChunkInsert::finish() {
    if (tuple_ != nullptr)
        heap_freetuple(tuple_);
    if (index_ != nullptr)
        index_close(index_, NoLock);
}

HeapTuple ChunkInsert::form(int64 id, TimestampTz now, int n) const {
    Datum values[kChunkColumns] = {Int64GetDatum(stream_id_), Int64GetDatum(id),       Int32GetDatum(epoch_),
                                   TimestampTzGetDatum(now),  BoolGetDatum(is_eof(n)), data_[n]};
    bool nulls[kChunkColumns] = {};
    return heap_form_tuple(RelationGetDescr(chunks_), values, nulls);
}

void ChunkInsert::insert_index_entry(int64 id, ItemPointer tid) {
    Datum keys[2] = {Int64GetDatum(stream_id_), Int64GetDatum(id)};
    bool nulls[2] = {false, false};
    // For a B-tree, index_insert() needs no IndexInfo, so none is built.
    (void) index_insert(index_, keys, nulls, tid, chunks_, UNIQUE_CHECK_YES, false, nullptr);
}

void ChunkInsert::store_one(int64 id) {
    char *const row = reinterpret_cast<char *>(tuple_->t_data) + tuple_->t_data->t_hoff;
    const TimestampTz now = GetCurrentTimestamp();  // under the lock: times in a stream do not go back
    memcpy(row + kIdOffset, &id, sizeof(id));
    memcpy(row + kAppendedAtOffset, &now, sizeof(now));
    heap_insert(chunks_, tuple_, GetCurrentCommandId(true), 0, nullptr);
    insert_index_entry(id, &tuple_->t_self);
}

void ChunkInsert::store_many(int64 first_id) {
    const CommandId command = GetCurrentCommandId(true);
    const TimestampTz now = GetCurrentTimestamp();
    const int room = Min(count_, kMultiInsert);
    TupleTableSlot *slots[kMultiInsert];
    for (int i = 0; i < room; ++i)
        slots[i] = MakeSingleTupleTableSlot(RelationGetDescr(chunks_), &TTSOpsHeapTuple);
    const BulkInsertState bulk = count_ > kMultiInsert ? GetBulkInsertState() : nullptr;
    for (int done = 0; done < count_; done += room) {
        CHECK_FOR_INTERRUPTS();
        const int n = Min(room, count_ - done);
        for (int i = 0; i < n; ++i)
            ExecForceStoreHeapTuple(form(first_id + done + i, now, done + i), slots[i], true);
        heap_multi_insert(chunks_, slots, n, command, 0, bulk);
        for (int i = 0; i < n; ++i)
            insert_index_entry(first_id + done + i, &slots[i]->tts_tid);
    }
    if (bulk != nullptr)
        FreeBulkInsertState(bulk);
    for (int i = 0; i < room; ++i)
        ExecDropSingleTupleTableSlot(slots[i]);
}

void ChunkInsert::store_through_executor(int64 first_id) {
    // Triggers, checks and expressions on this table are its owner's: they run as the owner, not as the caller.
    const OwnerScope owner(RelationGetRelid(chunks_));
    const TimestampTz now = GetCurrentTimestamp();
    EState *estate = CreateExecutorState();
    estate->es_output_cid = GetCurrentCommandId(true);
    auto *result = makeNode(ResultRelInfo);
    InitResultRelInfo(result, chunks_, 0, nullptr, 0);
    estate->es_opened_result_relations = lappend(estate->es_opened_result_relations, result);
    ExecOpenIndices(result, false);
    AfterTriggerBeginQuery();
    TupleTableSlot *slot = ExecInitExtraTupleSlot(estate, RelationGetDescr(chunks_), &TTSOpsVirtual);
    for (int i = 0; i < count_; ++i) {
        CHECK_FOR_INTERRUPTS();
        ExecClearTuple(slot);
        memset(slot->tts_isnull, true, static_cast<Size>(slot->tts_tupleDescriptor->natts));
        memset(slot->tts_isnull, false, kChunkColumns);
        slot->tts_values[kChunkStream - 1] = Int64GetDatum(stream_id_);
        slot->tts_values[kChunkId - 1] = Int64GetDatum(first_id + i);
        slot->tts_values[kChunkEpoch - 1] = Int32GetDatum(epoch_);
        slot->tts_values[kChunkAppendedAt - 1] = TimestampTzGetDatum(now);
        slot->tts_values[kChunkEof - 1] = BoolGetDatum(is_eof(i));
        slot->tts_values[kChunkData - 1] = data_[i];
        ExecStoreVirtualTuple(slot);
        ExecSimpleRelationInsert(result, estate, slot);
        ResetPerTupleExprContext(estate);
    }
    AfterTriggerEndQuery(estate);
    ExecCloseIndices(result);
    ExecResetTupleTable(estate->es_tupleTable, false);
    FreeExecutorState(estate);
    owner.leave();
}

}  // namespace rill
