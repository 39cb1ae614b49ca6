// See chunk_tail.hpp.
#include "tables/chunk_tail.hpp"

#include "base/pg_compat.hpp"
#include "tables/catalog.hpp"
#include "tables/chunk_scan.hpp"

namespace rill {

namespace {

// Calls visit(slot, id, inserter) for the rows of a stream from the highest id down, whether or not their transactions
// committed, until it returns false.
template <typename Visit>
void walk_down(Relation chunks, int64 stream_id, Visit visit) {
    const Relation index = index_open(primary_key_of(chunks), AccessShareLock);
    TupleTableSlot *slot = table_slot_create(chunks, nullptr);
    const IndexScanDesc scan = begin_index_scan(chunks, index, SnapshotAny, 1);
    ScanKeyData key[1];
    ScanKeyInit(&key[0], kIndexStream, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(stream_id));
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
    Tail tail = {false, 0, 0, false, InvalidTransactionId};
    // Versions of the highest row: usually one; an UPDATE by hand leaves several.
    walk_down(chunks, stream_id, [&](TupleTableSlot *slot, int64 id, HeapTupleHeader header) {
        if (tail.any && id != tail.id)
            return false;
        tail.any = true;
        tail.id = id;
        bool isnull;
        tail.appended_at = DatumGetTimestampTz(slot_getattr(slot, kChunkAppendedAt, &isnull));
        if (!DatumGetBool(slot_getattr(slot, kChunkEof, &isnull)))
            return true;
        const TransactionId inserter = HeapTupleHeaderGetXmin(header);
        if (!TransactionIdIsCurrentTransactionId(inserter) && TransactionIdIsInProgress(inserter))
            tail.undecided = inserter;
        else if (table_tuple_satisfies_snapshot(chunks, slot, SnapshotSelf))
            tail.eof = true;
        return true;
    });
    return tail;
}

Stored highest_stored(Relation chunks, int64 stream_id) {
    Stored stored = {0, InvalidTransactionId};
    walk_down(chunks, stream_id, [&](TupleTableSlot *, int64 id, HeapTupleHeader header) {
        const TransactionId inserter = HeapTupleHeaderGetXmin(header);
        // An append of ours took it back: another row had the id (write/store_rows.hpp).
        if (TransactionIdIsValid(inserter) && (header->t_infomask & (HEAP_XMAX_INVALID | HEAP_XMAX_IS_MULTI)) == 0 &&
            !HEAP_XMAX_IS_LOCKED_ONLY(header->t_infomask) &&
            TransactionIdEquals(HeapTupleHeaderGetRawXmax(header), inserter))
            return true;
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
