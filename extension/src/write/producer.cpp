// See producer.hpp.
#include "write/producer.hpp"

#include "base/pg_compat.hpp"
#include "core/append_order.hpp"
#include "tables/catalog.hpp"
#include "tables/chunk_scan.hpp"

namespace rill {

namespace {

constexpr int64 kPruneEvery = 256;
constexpr uint64 kPruneWriterSeqEvery = 64;  // on average

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

int64 int8_column(TupleTableSlot *slot, ProducerColumn column) {
    bool isnull;
    return DatumGetInt64(slot_getattr(slot, column, &isnull));
}

// Calls visit(rows, slot) for the rows of this name that the snapshot shows, until it returns false. The newest rows
// come first with BackwardScanDirection.
template <typename Visit>
void walk(int64 stream_id, const char *name, int size, Snapshot snapshot, ScanDirection direction, LOCKMODE lock,
          Visit visit) {
    const Relation rows = table_open(tables().producer, lock);
    const Relation index = index_open(primary_key_of(rows), AccessShareLock);
    TupleTableSlot *slot = table_slot_create(rows, nullptr);
    const IndexScanDesc scan = begin_index_scan(rows, index, snapshot, 2);
    ScanKeyData keys[2];
    text *producer = cstring_to_text_with_len(name, size);
    ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(stream_id));
    ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(producer));
    index_rescan(scan, keys, 2, nullptr, 0);
    while (index_getnext_slot(scan, direction, slot)) {
        CHECK_FOR_INTERRUPTS();
        if (!visit(rows, slot))
            break;
    }
    index_endscan(scan);
    ExecDropSingleTupleTableSlot(slot);
    index_close(index, AccessShareLock);
    table_close(rows, NoLock);
    pfree(producer);
}

// The same under the append lock, from the newest row down, for those that count. Returns the transaction that has to
// end first, if the walk came to a row of its.
template <typename Visit>
TransactionId walk_counted(int64 stream_id, const char *name, int size, Visit visit) {
    TransactionId undecided = InvalidTransactionId;
    const auto visit_counted = [&](Relation rows, TupleTableSlot *slot) {
        const bool counted = counts(rows, slot, &undecided);
        return !TransactionIdIsValid(undecided) && (!counted || visit(slot));
    };
    walk(stream_id, name, size, SnapshotAny, BackwardScanDirection, RowExclusiveLock, visit_counted);
    return undecided;
}

}  // namespace

Decision check_producer(int64 stream_id, const Producer &producer) {
    AppendOutcome outcome = {};
    core::ProducerPlace last = {0, 0};
    core::PlaceVerdict verdict = core::judge_place({producer.epoch, producer.seq}, last);
    // Nearly always the first row decides. A repeat goes on to its own one.
    const TransactionId undecided = walk_counted(stream_id, producer.name, producer.size, [&](TupleTableSlot *slot) {
        const core::ProducerPlace place = {int8_column(slot, kProducerEpoch), int8_column(slot, kProducerSeq)};
        if (last.seq == 0) {
            last = place;
            verdict = core::judge_place({producer.epoch, producer.seq}, last);
        }
        if (verdict != core::PlaceVerdict::repeat || place.epoch != producer.epoch || place.seq < producer.seq)
            return false;  // or a repeat so old that its row is gone
        if (place.seq == producer.seq)
            outcome.chunk_id = int8_column(slot, kProducerChunk);
        return place.seq != producer.seq;
    });
    if (TransactionIdIsValid(undecided))
        return retry_after(undecided);
    outcome.producer_epoch = last.epoch;
    outcome.producer_seq = last.seq;
    Decision decision = answer_with(outcome);
    switch (verdict) {
    case core::PlaceVerdict::next:
        decision.next = NextStep::store;
        break;
    case core::PlaceVerdict::repeat:
        decision.outcome.status = AppendStatus::repeat;
        break;
    case core::PlaceVerdict::fenced:
        decision.outcome.status = AppendStatus::fenced;
        break;
    case core::PlaceVerdict::gap:
        decision.outcome.status = AppendStatus::gap;
        break;
    }
    return decision;
}

Decision check_writer_seq(int64 stream_id, const WriterSeq &writer_seq) {
    AppendOutcome outcome = {};
    const TransactionId undecided = walk_counted(stream_id, kNoProducer, 0, [&](TupleTableSlot *slot) {
        bool isnull;
        const Datum value = slot_getattr(slot, kProducerWriterSeq, &isnull);
        if (isnull)
            return false;
        const text *last = DatumGetTextPP(value);
        if (!core::is_above({writer_seq.data, static_cast<Size>(writer_seq.size)},
                            {VARDATA_ANY(last), VARSIZE_ANY_EXHDR(last)}))
            outcome.status = AppendStatus::stale;
        return false;
    });
    if (TransactionIdIsValid(undecided))
        return retry_after(undecided);
    return outcome.status == AppendStatus::stored ? store_from(0) : answer_with(outcome);
}

namespace {

// Deletes the rows of this name up to and including `through`, but not `kept`, whatever this transaction's snapshot
// shows. What another transaction is deleting is left to it. So an append neither waits nor fails because of old rows,
// under any isolation level; and SnapshotSelf, unlike an MVCC snapshot, makes no serializable transaction a reader of
// them.
void delete_rows(int64 stream_id, const char *name, int size, const core::ProducerPlace &through,
                 const core::ProducerPlace &kept = {-1, 0}) {
    CommandCounterIncrement();  // heap_delete refuses rows of the current command
    const auto delete_old = [&](Relation rows, TupleTableSlot *slot) {
        const core::ProducerPlace place = {int8_column(slot, kProducerEpoch), int8_column(slot, kProducerSeq)};
        if (place.epoch > through.epoch || (place.epoch == through.epoch && place.seq > through.seq))
            return false;
        if (place.epoch == kept.epoch && place.seq == kept.seq)
            return true;
        TM_FailureData failure;
        (void) heap_delete(rows, &slot->tts_tid, GetCurrentCommandId(true), InvalidSnapshot, false, &failure, false);
        return true;
    };
    walk(stream_id, name, size, SnapshotSelf, ForwardScanDirection, RowExclusiveLock, delete_old);
}

}  // namespace

void prune_producer(int64 stream_id, const Producer &producer) {
    if (producer.seq == 1)  // earlier epochs are fenced off, their repeats too
        delete_rows(stream_id, producer.name, producer.size, {producer.epoch, 0});
    else if (producer.seq % kPruneEvery == 0)
        delete_rows(stream_id, producer.name, producer.size, {producer.epoch, producer.seq - kKeptSequences});
}

void prune_earlier_epochs(int64 stream_id, const StreamName &producer, int64 epoch, const LastAppend &last) {
    if (epoch > 0)
        delete_rows(stream_id, producer.data, producer.size, {epoch - 1, PG_INT64_MAX},
                    {last.seq > 0 ? last.epoch : -1, last.seq});
}

void prune_writer_seq(int64 stream_id, int64 last_id) {
    // Ids may come in steps that a rule of arithmetic would never hit.
    const uint64 hash = hash_bytes_extended(reinterpret_cast<const unsigned char *>(&last_id), sizeof(last_id), 0);
    if (hash % kPruneWriterSeqEvery == 0)
        delete_rows(stream_id, kNoProducer, 0, {0, last_id - 1});
}

bool last_append(int64 stream_id, const StreamName &producer, Snapshot snapshot, LastAppend *last) {
    bool known = false;
    const auto read_newest = [&](Relation, TupleTableSlot *slot) {
        *last = {int8_column(slot, kProducerEpoch), int8_column(slot, kProducerSeq), int8_column(slot, kProducerChunk)};
        known = true;
        return false;
    };
    walk(stream_id, producer.data, producer.size, snapshot, BackwardScanDirection, AccessShareLock, read_newest);
    return known;
}

Decision find_next_epoch(int64 stream_id, const StreamName &producer, LastAppend *last, int64 *epoch) {
    *last = {};
    int64 highest = -1;
    const TransactionId undecided = walk_counted(stream_id, producer.data, producer.size, [&](TupleTableSlot *slot) {
        const int64 row_epoch = int8_column(slot, kProducerEpoch);
        const int64 seq = int8_column(slot, kProducerSeq);
        highest = Max(highest, row_epoch);
        if (seq == 0)
            return true;  // an epoch that has begun, and appended nothing
        *last = {row_epoch, seq, int8_column(slot, kProducerChunk)};
        return false;
    });
    if (TransactionIdIsValid(undecided))
        return retry_after(undecided);
    if (highest == PG_INT64_MAX)
        ereport(ERROR, (errcode(ERRCODE_SEQUENCE_GENERATOR_LIMIT_EXCEEDED),
                        errmsg("producer \"%.*s\" has no epochs left", producer.size, producer.data),
                        errhint("Use another producer name.")));
    *epoch = highest + 1;
    return store_from(0);
}

}  // namespace rill
