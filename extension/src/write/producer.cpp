// See producer.hpp.
#include "write/producer.hpp"

#include "tables/catalog.hpp"
#include "base/errors.hpp"
#include "tables/spi.hpp"
#include "base/pg_compat.hpp"

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

int64 column(TupleTableSlot *slot, AttrNumber n) {
    bool isnull;
    return DatumGetInt64(slot_getattr(slot, n, &isnull));
}

// Whether a row counts: committed, or this transaction's own. Sets *undecided when it is somebody's
// who has not ended yet.
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

bool producer_arguments(FunctionCallInfo fcinfo, int first, Producer *producer) {
    const char *const names[3] = {"producer", "producer_epoch", "producer_seq"};
    int given = 0;
    for (int i = 0; i < 3; ++i)
        given += PG_ARGISNULL(first + i) ? 0 : 1;
    if (given == 0)
        return false;
    for (int i = 0; i < 3; ++i)
        if (PG_ARGISNULL(first + i))
            ereport(ERROR,
                    (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("argument \"%s\" must not be null here", names[i]),
                     errhint("Give \"producer\", \"producer_epoch\" and \"producer_seq\" together, or none of them.")));
    const StreamName name = stream_name(PG_GETARG_TEXT_PP(first), "producer");
    *producer = {name.data, name.size, PG_GETARG_INT32(first + 1), PG_GETARG_INT64(first + 2)};
    if (producer->epoch < 0)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("argument \"producer_epoch\" must not be negative: %d", producer->epoch),
                        errhint("Epochs count the lives of a producer: 0, 1, 2, ...")));
    if (producer->seq < 1)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("argument \"producer_seq\" must be at least 1: " INT64_FORMAT, producer->seq),
                        errhint("The first append of an epoch has sequence 1, each further one the next number.")));
    return true;
}

ProducerVerdict judge_producer(int64 stream_id, const Producer &producer) {
    ProducerVerdict verdict = {ProducerState::next, 0, 0, 1, InvalidTransactionId};
    const Relation rows = table_open(tables().producer, RowExclusiveLock);
    const Relation index = index_open(producer_index(rows), AccessShareLock);
    TupleTableSlot *slot = table_slot_create(rows, nullptr);
    const IndexScanDesc scan = begin_index_scan(rows, index, SnapshotAny, 2);
    ScanKeyData keys[2];
    text *name = cstring_to_text_with_len(producer.name, producer.size);
    ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(stream_id));
    ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(name));
    index_rescan(scan, keys, 2, nullptr, 0);
    bool seen = false;
    // From the newest down; nearly always the first row decides.
    while (index_getnext_slot(scan, BackwardScanDirection, slot)) {
        CHECK_FOR_INTERRUPTS();
        TransactionId undecided = InvalidTransactionId;
        const bool counted = counts(rows, slot, &undecided);
        if (TransactionIdIsValid(undecided)) {
            verdict = {ProducerState::undecided, 0, 0, 0, undecided};
            break;
        }
        if (!counted)
            continue;
        bool isnull;
        const int32 epoch = DatumGetInt32(slot_getattr(slot, kProducerEpoch, &isnull));
        const int64 seq = column(slot, kProducerSeq);
        if (!seen) {
            seen = true;
            if (producer.epoch < epoch) {
                verdict = {ProducerState::fenced, 0, epoch, 0, InvalidTransactionId};
                break;
            }
            verdict.next_seq = producer.epoch == epoch ? seq + 1 : 1;
            if (producer.epoch > epoch || producer.seq > seq)
                break;
            verdict.state = ProducerState::repeat;
        }
        if (epoch != producer.epoch || seq < producer.seq)
            break;  // a repeat too old to be known
        if (seq == producer.seq) {
            verdict.id = column(slot, kProducerChunk);
            break;
        }
    }
    index_endscan(scan);
    ExecDropSingleTupleTableSlot(slot);
    index_close(index, AccessShareLock);
    table_close(rows, NoLock);
    pfree(name);
    if (verdict.state == ProducerState::next && producer.seq != verdict.next_seq)
        verdict.state = ProducerState::gap;
    return verdict;
}

void record_producer(int64 stream_id, const Producer &producer, int64 id) {
    const Relation rows = table_open(tables().producer, RowExclusiveLock);
    const Oid key = producer_index(rows);
    if (list_length(rows->rd_indexlist) != 1 || rows->trigdesc != nullptr ||
        RelationGetDescr(rows)->natts != kProducerColumns) {
        // Somebody's own indexes, triggers or columns: the way everybody inserts.
        const OwnerScope owner(tables().producer);
        (void) run_sql(
            psprintf("INSERT INTO %s (stream_id, producer, epoch, seq, chunk_id) VALUES ($1, $2, $3, $4, $5)",
                     qualified_table("stream_producer")),
            {{INT8OID, Int64GetDatum(stream_id)},
             {TEXTOID, PointerGetDatum(cstring_to_text_with_len(producer.name, producer.size))},
             {INT4OID, Int32GetDatum(producer.epoch)},
             {INT8OID, Int64GetDatum(producer.seq)},
             {INT8OID, Int64GetDatum(id)}},
            SPI_OK_INSERT);
        owner.leave();
        table_close(rows, NoLock);
        return;
    }
    const Relation index = index_open(key, RowExclusiveLock);
    Datum values[kProducerColumns] = {Int64GetDatum(stream_id),
                                      PointerGetDatum(cstring_to_text_with_len(producer.name, producer.size)),
                                      Int32GetDatum(producer.epoch), Int64GetDatum(producer.seq), Int64GetDatum(id)};
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

void refuse_producer(const ProducerVerdict &verdict, const Producer &producer) {
    if (verdict.state == ProducerState::fenced)
        ereport(ERROR, (errcode(kProducerFenced),
                        errmsg("producer \"%.*s\" is fenced off: epoch %d is over", producer.size, producer.name,
                               producer.epoch),
                        errdetail("The highest epoch seen is %d.", verdict.epoch),
                        errhint("Another instance has taken over; stop this one, or begin a higher epoch.")));
    ereport(ERROR, (errcode(kProducerGap),
                    errmsg("producer \"%.*s\" cannot append sequence " INT64_FORMAT, producer.size, producer.name,
                           producer.seq),
                    errdetail("The next sequence of epoch %d is " INT64_FORMAT ".", producer.epoch, verdict.next_seq),
                    errhint("Append the sequences in between first.")));
    pg_unreachable();
}

}  // namespace rill
