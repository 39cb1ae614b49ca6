// See producer.hpp.
#include "write/producer.hpp"

#include "base/pg_compat.hpp"
#include "tables/catalog.hpp"
#include "tables/spi.hpp"

namespace rill {

namespace {

enum ProducerColumn : AttrNumber {
    kProducerStream = 1,
    kProducerName,
    kProducerEpoch,
    kProducerSeq,
    kProducerChunk,
    kProducerColumns = kProducerChunk
};

constexpr int64 kPruneEvery = 256;

Oid producer_index(Relation rows) {
    if (!rows->rd_indexvalid)
        list_free(RelationGetIndexList(rows));
    return rows->rd_pkindex;
}

// Whether a row counts: it is committed, or this transaction's own. Sets *undecided to another transaction that
// inserted it and is still running.
bool counts(Relation rows, TupleTableSlot *slot, TransactionId *undecided) {
    bool owned;
    const TransactionId inserter = HeapTupleHeaderGetXmin(ExecFetchSlotHeapTuple(slot, false, &owned)->t_data);
    if (!TransactionIdIsCurrentTransactionId(inserter) && TransactionIdIsInProgress(inserter)) {
        *undecided = inserter;
        return false;
    }
    return table_tuple_satisfies_snapshot(rows, slot, SnapshotSelf);
}

}  // namespace

Decision check_producer(int64 stream_id, const Producer &producer) {
    AppendOutcome outcome = {AppendStatus::stored, 0, 0, 0};
    TransactionId undecided = InvalidTransactionId;
    const Relation rows = table_open(tables().producer, RowExclusiveLock);
    const Relation index = index_open(producer_index(rows), AccessShareLock);
    TupleTableSlot *slot = table_slot_create(rows, nullptr);
    const IndexScanDesc scan = begin_index_scan(rows, index, SnapshotAny, 2);
    ScanKeyData keys[2];
    text *name = cstring_to_text_with_len(producer.name, producer.size);
    ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(stream_id));
    ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(name));
    index_rescan(scan, keys, 2, nullptr, 0);
    bool known = false;
    // From the newest down; nearly always the first row decides.
    while (index_getnext_slot(scan, BackwardScanDirection, slot)) {
        CHECK_FOR_INTERRUPTS();
        const bool counted = counts(rows, slot, &undecided);
        if (TransactionIdIsValid(undecided))
            break;
        if (!counted)
            continue;
        bool isnull;
        const int32 epoch = DatumGetInt32(slot_getattr(slot, kProducerEpoch, &isnull));
        const int64 seq = DatumGetInt64(slot_getattr(slot, kProducerSeq, &isnull));
        if (!known) {
            known = true;
            outcome.producer_epoch = epoch;
            outcome.producer_seq = seq;
            if (producer.epoch < epoch) {
                outcome.status = AppendStatus::fenced;
                break;
            }
            if (producer.epoch > epoch || producer.seq > seq)
                break;
            outcome.status = AppendStatus::repeat;
        }
        if (epoch != producer.epoch || seq < producer.seq)
            break;  // a repeat so old that its row is gone
        if (seq == producer.seq) {
            outcome.chunk_id = DatumGetInt64(slot_getattr(slot, kProducerChunk, &isnull));
            break;
        }
    }
    index_endscan(scan);
    ExecDropSingleTupleTableSlot(slot);
    index_close(index, AccessShareLock);
    table_close(rows, NoLock);
    pfree(name);
    if (TransactionIdIsValid(undecided))
        return retry_after(undecided);
    if (outcome.status == AppendStatus::stored) {
        if (producer.seq == next_sequence(producer, outcome.producer_epoch, outcome.producer_seq))
            return store_from(0);
        outcome.status = AppendStatus::gap;
    }
    return answer_with(outcome);
}

void record_producer(int64 stream_id, const Producer &producer, int64 chunk_id) {
    const Relation rows = table_open(tables().producer, RowExclusiveLock);
    const Oid key = producer_index(rows);
    if (list_length(rows->rd_indexlist) != 1 || rows->trigdesc != nullptr ||
        RelationGetDescr(rows)->natts != kProducerColumns) {
        // The table has added indexes, triggers or columns: an ordinary INSERT.
        const OwnerScope owner(tables().producer);
        (void) run_sql(
            psprintf("INSERT INTO %s (stream_id, producer, epoch, seq, chunk_id) VALUES ($1, $2, $3, $4, $5)",
                     qualified_table("stream_producer")),
            {{INT8OID, Int64GetDatum(stream_id)},
             {TEXTOID, PointerGetDatum(cstring_to_text_with_len(producer.name, producer.size))},
             {INT4OID, Int32GetDatum(producer.epoch)},
             {INT8OID, Int64GetDatum(producer.seq)},
             {INT8OID, Int64GetDatum(chunk_id)}},
            SPI_OK_INSERT);
        owner.leave();
        table_close(rows, NoLock);
        return;
    }
    const Relation index = index_open(key, RowExclusiveLock);
    Datum values[kProducerColumns] = {
        Int64GetDatum(stream_id), PointerGetDatum(cstring_to_text_with_len(producer.name, producer.size)),
        Int32GetDatum(producer.epoch), Int64GetDatum(producer.seq), Int64GetDatum(chunk_id)};
    bool nulls[kProducerColumns] = {};
    const HeapTuple tuple = heap_form_tuple(RelationGetDescr(rows), values, nulls);
    heap_insert(rows, tuple, GetCurrentCommandId(true), 0, nullptr);
    (void) index_insert(index, values, nulls, &tuple->t_self, rows, UNIQUE_CHECK_YES, false, nullptr);
    heap_freetuple(tuple);
    index_close(index, NoLock);
    table_close(rows, NoLock);
}

void prune_producer(int64 stream_id, const Producer &producer) {
    if (producer.seq % kPruneEvery != 0 || IsolationUsesXactSnapshot())
        return;
    const char *source = psprintf(
        "DELETE FROM %s WHERE stream_id OPERATOR(pg_catalog.=) $1 AND producer OPERATOR(pg_catalog.=) $2"
        " AND (epoch OPERATOR(pg_catalog.<) $3 OR epoch OPERATOR(pg_catalog.=) $3 AND seq OPERATOR(pg_catalog.<=) $4)",
        qualified_table("stream_producer"));
    const OwnerScope owner(tables().producer);
    (void) run_sql(source,
                   {{INT8OID, Int64GetDatum(stream_id)},
                    {TEXTOID, PointerGetDatum(cstring_to_text_with_len(producer.name, producer.size))},
                    {INT4OID, Int32GetDatum(producer.epoch)},
                    {INT8OID, Int64GetDatum(producer.seq - kKeptSequences)}},
                   SPI_OK_DELETE);
    owner.leave();
}

}  // namespace rill
