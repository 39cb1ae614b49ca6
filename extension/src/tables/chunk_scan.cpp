// See chunk_scan.hpp for the argument.
#include "tables/chunk_scan.hpp"

#include "tables/catalog.hpp"
#include "base/pg_compat.hpp"

namespace rill {

Oid chunk_index(Relation chunks) {
    if (!chunks->rd_indexvalid)
        list_free(RelationGetIndexList(chunks));
    if (!OidIsValid(chunks->rd_pkindex))
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("table \"stream_chunk\" has no primary key"),
                 errhint("Recreate it: ALTER TABLE ... ADD PRIMARY KEY (stream_id, chunk_id).")));
    return chunks->rd_pkindex;
}

void ChunkScan::open(Relation chunks, Snapshot snapshot) {
    chunks_ = chunks;
    snapshot_ = snapshot;
    index_ = index_open(chunk_index(chunks), AccessShareLock);
    slot_ = table_slot_create(chunks, nullptr);
    any_ = nullptr;
    scan_ = begin_index_scan(chunks, index_, snapshot, 2);
    stopped_ = false;
}

void ChunkScan::end() {
    index_endscan(scan_);
    ExecDropSingleTupleTableSlot(slot_);
    if (any_ != nullptr)
        ExecDropSingleTupleTableSlot(any_);
    index_close(index_, AccessShareLock);
}

void ChunkScan::restart(int64 stream_id, StrategyNumber strategy, RegProcedure procedure, int64 id) {
    ScanKeyData keys[2];
    ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(stream_id));
    ScanKeyInit(&keys[1], 2, strategy, procedure, Int64GetDatum(id));
    ExecClearTuple(slot_);
    index_rescan(scan_, keys, 2, nullptr, 0);
    stopped_ = false;
}

void ChunkScan::start(int64 stream_id, int64 after) { restart(stream_id, BTGreaterStrategyNumber, F_INT8GT, after); }

bool ChunkScan::next() {
    if (stopped_)
        return false;
    for (ItemPointer tid; (tid = index_getnext_tid(scan_, ForwardScanDirection)) != nullptr;) {
        CHECK_FOR_INTERRUPTS();
        if (index_fetch_heap(scan_, slot_))
            return true;
        if (must_stop(tid)) {
            stopped_ = true;
            return false;
        }
    }
    return false;
}

bool ChunkScan::last_at_or_below(int64 stream_id, int64 id) {
    restart(stream_id, BTLessEqualStrategyNumber, F_INT8LE, id);
    return index_getnext_slot(scan_, BackwardScanDirection, slot_);
}

bool ChunkScan::previous() { return index_getnext_slot(scan_, BackwardScanDirection, slot_); }

bool ChunkScan::first_at_or_above(int64 stream_id, int64 id) {
    restart(stream_id, BTGreaterEqualStrategyNumber, F_INT8GE, id);
    return index_getnext_slot(scan_, ForwardScanDirection, slot_);
}

bool ChunkScan::exactly(int64 stream_id, int64 id) {
    restart(stream_id, BTEqualStrategyNumber, F_INT8EQ, id);
    return index_getnext_slot(scan_, ForwardScanDirection, slot_);
}

// Looks at every version behind an index entry that S shows nothing of.
bool ChunkScan::must_stop(ItemPointer tid) {
    if (any_ == nullptr)
        any_ = table_slot_create(chunks_, nullptr);
    ItemPointerData at = *tid;
    bool more = false;
    bool stop = false;
    do {
        if (!table_index_fetch_tuple(scan_->xs_heapfetch, &at, SnapshotAny, any_, &more, nullptr))
            break;  // pruned meanwhile: it was dead to everybody
        bool owned;
        const HeapTuple tuple = ExecFetchSlotHeapTuple(any_, false, &owned);
        stop = must_stop_at(tuple);
    } while (more && !stop);
    ExecClearTuple(any_);
    return stop;
}

bool ChunkScan::must_stop_at(HeapTuple tuple) const {
    const HeapTupleHeader header = tuple->t_data;
    if (HeapTupleHeaderXminFrozen(header))
        return false;
    const TransactionId inserter = HeapTupleHeaderGetRawXmin(header);
    if (TransactionIdIsCurrentTransactionId(inserter))
        return HeapTupleHeaderGetCmin(header) >= snapshot_->curcid;
    if (!XidInMVCCSnapshot(inserter, snapshot_))
        return false;
    // Under S it runs. For a snapshot that is used once we may know better: with more than 64 savepoints in a
    // transaction S cannot tell one that was rolled back from its top transaction, which runs.
    if (!IsolationUsesXactSnapshot() && TransactionIdDidAbort(inserter))
        return false;
    // So do we of a savepoint of our own.
    const TransactionId mine = GetTopTransactionIdIfAny();
    return !(TransactionIdIsValid(mine) && TransactionIdEquals(SubTransGetTopmostTransaction(inserter), mine));
}

namespace {

// Calls visit(slot, id, inserter) for the rows of a stream from the highest id down, whatever became of
// them, until it returns false.
template <typename Visit>
void walk_down(Relation chunks, int64 stream_id, Visit visit) {
    const Relation index = index_open(chunk_index(chunks), AccessShareLock);
    TupleTableSlot *slot = table_slot_create(chunks, nullptr);
    const IndexScanDesc scan = begin_index_scan(chunks, index, SnapshotAny, 1);
    ScanKeyData key[1];
    ScanKeyInit(&key[0], 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(stream_id));
    index_rescan(scan, key, 1, nullptr, 0);
    while (index_getnext_slot(scan, BackwardScanDirection, slot)) {
        CHECK_FOR_INTERRUPTS();
        bool isnull;
        bool owned;
        const HeapTuple tuple = ExecFetchSlotHeapTuple(slot, false, &owned);
        if (!visit(slot, DatumGetInt64(slot_getattr(slot, kChunkId, &isnull)), tuple->t_data))
            break;
    }
    index_endscan(scan);
    ExecDropSingleTupleTableSlot(slot);
    index_close(index, AccessShareLock);
}

}  // namespace

Tail read_tail(Relation chunks, int64 stream_id) {
    Tail tail = {false, 0, false, 0, InvalidTransactionId};
    // Versions of the highest row: usually one; an UPDATE by hand leaves several.
    walk_down(chunks, stream_id, [&](TupleTableSlot *slot, int64 id, HeapTupleHeader header) {
        if (tail.any && id != tail.id)
            return false;
        tail.any = true;
        tail.id = id;
        bool isnull;
        if (!DatumGetBool(slot_getattr(slot, kChunkEof, &isnull)))
            return true;
        const TransactionId inserter = HeapTupleHeaderGetXmin(header);
        if (!TransactionIdIsCurrentTransactionId(inserter) && TransactionIdIsInProgress(inserter))
            tail.undecided = inserter;
        else if (table_tuple_satisfies_snapshot(chunks, slot, SnapshotSelf)) {
            tail.eof = true;
            tail.eof_at = DatumGetTimestampTz(slot_getattr(slot, kChunkAppendedAt, &isnull));
        }
        return true;
    });
    return tail;
}

Stored highest_stored(Relation chunks, int64 stream_id) {
    Stored stored = {0, InvalidTransactionId};
    walk_down(chunks, stream_id, [&](TupleTableSlot *, int64 id, HeapTupleHeader header) {
        const TransactionId inserter = HeapTupleHeaderGetXmin(header);
        if (TransactionIdIsCurrentTransactionId(inserter) || HeapTupleHeaderXminFrozen(header))
            stored.id = id;
        else if (TransactionIdIsInProgress(inserter))
            stored.undecided = inserter;
        else if (TransactionIdDidCommit(inserter))
            stored.id = id;
        return stored.id == 0 && !TransactionIdIsValid(stored.undecided);
    });
    return stored;
}

}  // namespace rill
