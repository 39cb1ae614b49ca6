// See chunk_scan.hpp for the argument.
#include "tables/chunk_scan.hpp"

#include "tables/catalog.hpp"
#include "base/pg_compat.hpp"

namespace rill {

Oid primary_key_of(Relation table) {
    if (!table->rd_indexvalid)
        list_free(RelationGetIndexList(table));
    if (!OidIsValid(table->rd_pkindex))
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("table \"%s\" has no primary key", RelationGetRelationName(table)),
                        errhint("Recreate it: ALTER TABLE ... ADD PRIMARY KEY (%s).",
                                RelationGetRelid(table) == tables().chunk ? "stream_id, chunk_id"
                                                                          : "stream_id, producer, epoch, seq")));
    return table->rd_pkindex;
}

void ChunkScan::open(Relation chunks, Snapshot snapshot) {
    chunks_ = chunks;
    snapshot_ = snapshot;
    index_ = index_open(primary_key_of(chunks), AccessShareLock);
    slot_ = table_slot_create(chunks, nullptr);
    any_ = nullptr;
    scan_ = begin_index_scan(chunks, index_, snapshot, kIndexColumns);
    state_ = State::scanning;
}

void ChunkScan::end() {
    index_endscan(scan_);
    ExecDropSingleTupleTableSlot(slot_);
    if (any_ != nullptr)
        ExecDropSingleTupleTableSlot(any_);
    index_close(index_, AccessShareLock);
}

void ChunkScan::restart(int64 stream_id, StrategyNumber strategy, RegProcedure procedure, int64 id) {
    ScanKeyData keys[kIndexColumns];
    ScanKeyInit(&keys[0], kIndexStream, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(stream_id));
    ScanKeyInit(&keys[1], kIndexId, strategy, procedure, Int64GetDatum(id));
    ExecClearTuple(slot_);
    index_rescan(scan_, keys, kIndexColumns, nullptr, 0);
    state_ = State::scanning;
}

void ChunkScan::search(int64 stream_id, int64 after) {
    restart(stream_id, BTGreaterStrategyNumber, F_INT8GT, after);
    stream_id_ = stream_id;
    after_ = after;
}

bool ChunkScan::next() {
    if (state_ != State::scanning) {
        if (state_ == State::stopped)
            return false;
        state_ = State::scanning;
        return true;
    }
    for (ItemPointer tid; (tid = index_getnext_tid(scan_, ForwardScanDirection)) != nullptr;) {
        CHECK_FOR_INTERRUPTS();
        if (index_fetch_heap(scan_, slot_))
            return true;
        if (must_stop(tid)) {
            state_ = State::stopped;
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

// Checks every version behind an index entry for which S shows no row.
bool ChunkScan::must_stop(ItemPointer tid) {
    if (any_ == nullptr)
        any_ = table_slot_create(chunks_, nullptr);
    ItemPointerData at = *tid;
    bool more = false;
    bool stop = false;
    do {
        if (!table_index_fetch_tuple(scan_->xs_heapfetch, &at, SnapshotAny, any_, &more, nullptr))
            break;  // pruned meanwhile: it was dead to all snapshots
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
    // It runs under S. If S is used only once, the transaction's current state counts, too: with more than 64
    // savepoints in a transaction, S cannot distinguish one that was rolled back from its top transaction, which still
    // runs.
    if (!IsolationUsesXactSnapshot() && TransactionIdDidAbort(inserter))
        return false;
    // Likewise for a savepoint of our own that was rolled back.
    const TransactionId mine = GetTopTransactionIdIfAny();
    return !(TransactionIdIsValid(mine) && TransactionIdEquals(SubTransGetTopmostTransaction(inserter), mine));
}

}  // namespace rill
