// See stream_rows.hpp.
#include "tables/stream_rows.hpp"

#include "tables/catalog.hpp"

namespace rill {

namespace {

void read_row(TupleDesc desc, HeapTuple tuple, StreamRow *row) {
    bool isnull;
    row->id = DatumGetInt64(heap_getattr(tuple, kStreamId, desc, &isnull));
    row->trimmed_through = DatumGetInt64(heap_getattr(tuple, kTrimmedThrough, desc, &isnull));
    row->begins_after = DatumGetInt64(heap_getattr(tuple, kBeginsAfter, desc, &isnull));
    row->own = TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
}

// Calls visit(tuple, desc) for the rows that an index of table stream has for this name, until it returns false.
template <typename Visit>
void visit_by_name(Oid index, const char *name, int size, Snapshot snapshot, Visit visit) {
    const Relation rel = table_open(tables().stream, AccessShareLock);
    text *wanted = cstring_to_text_with_len(name, size);
    ScanKeyData key[1];
    ScanKeyInit(&key[0], kName, BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(wanted));
    const SysScanDesc scan = systable_beginscan(rel, index, true, snapshot, 1, key);
    for (HeapTuple tuple; HeapTupleIsValid(tuple = systable_getnext(scan));)
        if (!visit(tuple, RelationGetDescr(rel)))
            break;
    systable_endscan(scan);
    table_close(rel, AccessShareLock);
    pfree(wanted);
}

}  // namespace

bool find_stream(const char *name, int size, Snapshot snapshot, StreamRow *row) {
    bool found = false;
    visit_by_name(tables().stream_name_index, name, size, snapshot, [&](HeapTuple tuple, TupleDesc desc) {
        read_row(desc, tuple, row);
        found = true;
        return false;
    });
    return found;
}

int64 last_id_of_deleted(const char *name, int size, Snapshot snapshot) {
    int64 last = 0;
    visit_by_name(tables().stream_tombstones, name, size, snapshot, [&](HeapTuple tuple, TupleDesc desc) {
        bool isnull;
        last = Max(last, DatumGetInt64(heap_getattr(tuple, kTrimmedThrough, desc, &isnull)));
        return true;
    });
    return last;
}

text *name_of_stream(int64 stream_id, Snapshot snapshot) {
    text *name = nullptr;
    const Relation rel = table_open(tables().stream, AccessShareLock);
    ScanKeyData key[1];
    ScanKeyInit(&key[0], kStreamId, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(stream_id));
    const SysScanDesc scan = systable_beginscan(rel, tables().stream_pkey, true, snapshot, 1, key);
    if (const HeapTuple tuple = systable_getnext(scan); HeapTupleIsValid(tuple)) {
        bool isnull;
        const Datum value = heap_getattr(tuple, kName, RelationGetDescr(rel), &isnull);
        (void) heap_getattr(tuple, kDeletedAt, RelationGetDescr(rel), &isnull);
        if (isnull)
            name = DatumGetTextPCopy(value);
    }
    systable_endscan(scan);
    table_close(rel, AccessShareLock);
    return name;
}

StreamFate stream_fate(int64 stream_id) {
    StreamFate fate = {false, InvalidTransactionId, 0};
    bool live = false;
    TransactionId changer = InvalidTransactionId;
    SnapshotData dirty;
    InitDirtySnapshot(dirty);

    const Relation rel = table_open(tables().stream, AccessShareLock);
    const TupleDesc desc = RelationGetDescr(rel);
    ScanKeyData key[1];
    ScanKeyInit(&key[0], kStreamId, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(stream_id));
    const SysScanDesc scan = systable_beginscan(rel, tables().stream_pkey, true, &dirty, 1, key);
    // A dirty snapshot shows each version that is the row or may become it: at most the old one (dirty.xmax is running)
    // and its successor (dirty.xmin is running).
    for (HeapTuple tuple; HeapTupleIsValid(tuple = systable_getnext(scan));) {
        bool isnull;
        fate.trimmed_through =
            Max(fate.trimmed_through, DatumGetInt64(heap_getattr(tuple, kTrimmedThrough, desc, &isnull)));
        (void) heap_getattr(tuple, kDeletedAt, desc, &isnull);
        if (!isnull) {
            if (TransactionIdIsValid(dirty.xmin))
                fate.undecided = dirty.xmin;
            else
                fate.deleted = true;
        } else {
            live = true;
            if (TransactionIdIsValid(dirty.xmax) && ItemPointerEquals(&tuple->t_self, &tuple->t_data->t_ctid))
                changer = dirty.xmax;  // a plain DELETE, not an update
        }
    }
    systable_endscan(scan);
    table_close(rel, AccessShareLock);
    if (!live && !TransactionIdIsValid(fate.undecided))
        fate.deleted = true;
    if (TransactionIdIsValid(changer) && !TransactionIdIsValid(fate.undecided))
        fate.undecided = changer;
    return fate;
}

}  // namespace rill
