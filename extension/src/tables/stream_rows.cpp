// See stream_rows.hpp.
#include "tables/stream_rows.hpp"

#include "tables/catalog.hpp"

namespace rill {

namespace {

// Calls visit(tuple, desc) for the rows that an index has for one key, until it returns false.
template <typename Visit>
void visit_rows(Oid table, Oid index, AttrNumber column, RegProcedure equal, Datum value, Snapshot snapshot,
                Visit visit) {
    const Relation rel = table_open(table, AccessShareLock);
    ScanKeyData key[1];
    ScanKeyInit(&key[0], column, BTEqualStrategyNumber, equal, value);
    const SysScanDesc scan = systable_beginscan(rel, index, true, snapshot, 1, key);
    for (HeapTuple tuple; HeapTupleIsValid(tuple = systable_getnext(scan));)
        if (!visit(tuple, RelationGetDescr(rel)))
            break;
    systable_endscan(scan);
    table_close(rel, AccessShareLock);
}

template <typename Visit>
void visit_by_name(Oid table, Oid index, AttrNumber column, const char *name, int size, Snapshot snapshot,
                   Visit visit) {
    text *wanted = cstring_to_text_with_len(name, size);
    visit_rows(table, index, column, F_TEXTEQ, PointerGetDatum(wanted), snapshot, visit);
    pfree(wanted);
}

template <typename Visit>
void visit_by_id(Oid table, Oid index, int64 stream_id, Snapshot snapshot, Visit visit) {
    static_assert(int{kStreamId} == int{kStateStream});
    visit_rows(table, index, kStreamId, F_INT8EQ, Int64GetDatum(stream_id), snapshot, visit);
}

int64 int8_column(HeapTuple tuple, AttrNumber column, TupleDesc desc) {
    bool isnull;
    return DatumGetInt64(heap_getattr(tuple, column, desc, &isnull));
}

bool has_value(HeapTuple tuple, AttrNumber column, TupleDesc desc) { return !heap_attisnull(tuple, column, desc); }

bool has_limits(HeapTuple tuple, TupleDesc desc) {
    for (AttrNumber column = kMaxAge; column <= kExpiresAt; ++column)
        if (has_value(tuple, column, desc))
            return true;
    return false;
}

}  // namespace

bool find_stream(const char *name, int size, Snapshot snapshot, StreamRow *row) {
    bool found = false;
    visit_by_name(tables().stream, tables().stream_name_index, kName, name, size, snapshot,
                  [&](HeapTuple tuple, TupleDesc desc) {
                      *row = {int8_column(tuple, kStreamId, desc), 0, 0,
                              TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data))};
                      found = true;
                      return false;
                  });
    if (found)
        visit_by_id(tables().state, tables().state_pkey, row->id, snapshot, [&](HeapTuple tuple, TupleDesc desc) {
            row->trimmed_through = int8_column(tuple, kTrimmedThrough, desc);
            row->begins_after = int8_column(tuple, kBeginsAfter, desc);
            return false;
        });
    return found;
}

StreamDetails read_details(int64 stream_id, Snapshot snapshot) {
    StreamDetails details = {};
    details.no_metadata = true;
    memset(details.no_limit, true, sizeof(details.no_limit));
    const auto copy_column = [](HeapTuple tuple, AttrNumber column, TupleDesc desc, Datum *value, bool *isnull) {
        *value = heap_getattr(tuple, column, desc, isnull);
        const auto *attribute = TupleDescAttr(desc, column - 1);
        if (!*isnull)
            *value = datumCopy(*value, attribute->attbyval, attribute->attlen);
    };
    visit_by_id(tables().stream, tables().stream_pkey, stream_id, snapshot, [&](HeapTuple tuple, TupleDesc desc) {
        details.created_at = int8_column(tuple, kCreatedAt, desc);
        copy_column(tuple, kMetadata, desc, &details.metadata, &details.no_metadata);
        return false;
    });
    visit_by_id(tables().state, tables().state_pkey, stream_id, snapshot, [&](HeapTuple tuple, TupleDesc desc) {
        for (int i = 0; i < kLimits; ++i)
            copy_column(tuple, static_cast<AttrNumber>(kMaxAge + i), desc, &details.limits[i], &details.no_limit[i]);
        return false;
    });
    return details;
}

int64 last_id_of_deleted(const char *name, int size, Snapshot snapshot) {
    int64 last = 0;
    visit_by_name(tables().state, tables().tombstones, kDeletedName, name, size, snapshot,
                  [&](HeapTuple tuple, TupleDesc desc) {
                      last = Max(last, int8_column(tuple, kTrimmedThrough, desc));
                      return true;
                  });
    return last;
}

Snapshot register_current_snapshot() {
    return RegisterSnapshot(IsolationUsesXactSnapshot() ? GetTransactionSnapshot() : GetLatestSnapshot());
}

bool find_current_stream(const char *name, int size, StreamRow *row) {
    const Snapshot snapshot = register_current_snapshot();
    const bool found = find_stream(name, size, snapshot, row);
    UnregisterSnapshot(snapshot);
    return found;
}

text *name_of_stream(int64 stream_id, Snapshot snapshot, TimestampTz *created_at) {
    text *name = nullptr;
    visit_by_id(tables().stream, tables().stream_pkey, stream_id, snapshot, [&](HeapTuple tuple, TupleDesc desc) {
        bool isnull;
        name = DatumGetTextPCopy(heap_getattr(tuple, kName, desc, &isnull));
        if (created_at != nullptr)
            *created_at = int8_column(tuple, kCreatedAt, desc);
        return false;
    });
    return name;
}

StreamFate stream_fate(int64 stream_id) {
    StreamFate fate = {false, InvalidTransactionId, 0, false};
    SnapshotData dirty;
    InitDirtySnapshot(dirty);
    bool seen = false;
    // A dirty snapshot shows each version that is current or may become so: at most the old one (dirty.xmax is running)
    // and its successor (dirty.xmin is running). A stream without a row is not deleted.
    const auto judge = [&](HeapTuple tuple, TupleDesc desc) {
        seen = true;
        fate.limited = fate.limited || has_limits(tuple, desc);
        fate.trimmed_through = Max(fate.trimmed_through, int8_column(tuple, kTrimmedThrough, desc));
        if (has_value(tuple, kDeletedAt, desc)) {
            if (TransactionIdIsValid(dirty.xmin))
                fate.undecided = dirty.xmin;
            else
                fate.deleted = true;
        }
        return true;
    };
    // The scan may miss a row whose new version was indexed behind it while the update that made it committed before
    // the old version was checked. An ordinary snapshot taken afterwards shows such a row; then the scan is repeated.
    for (;;) {
        visit_by_id(tables().state, tables().state_pkey, stream_id, &dirty, judge);
        if (seen)
            return fate;
        const Snapshot latest = RegisterSnapshot(GetLatestSnapshot());
        bool there = false;
        visit_by_id(tables().state, tables().state_pkey, stream_id, latest, [&](HeapTuple, TupleDesc) {
            there = true;
            return false;
        });
        UnregisterSnapshot(latest);
        if (!there)
            return fate;
        CHECK_FOR_INTERRUPTS();
    }
}

bool read_retention_row(int64 stream_id, Snapshot snapshot, RetentionRow *row) {
    bool found = false;
    visit_by_id(tables().state, tables().state_pkey, stream_id, snapshot, [&](HeapTuple tuple, TupleDesc desc) {
        const auto value_or = [&](AttrNumber column, int64 otherwise) {
            return has_value(tuple, column, desc) ? int8_column(tuple, column, desc) : otherwise;
        };
        const auto interval = [&](AttrNumber column) -> const Interval * {
            bool isnull;
            const Datum value = heap_getattr(tuple, column, desc, &isnull);
            return isnull ? nullptr : DatumGetIntervalP(datumCopy(value, false, sizeof(Interval)));
        };
        *row = {stream_id,
                has_value(tuple, kDeletedAt, desc),
                has_limits(tuple, desc),
                int8_column(tuple, kTrimmedThrough, desc),
                int8_column(tuple, kCountedThrough, desc),
                int8_column(tuple, kCountedChunks, desc),
                int8_column(tuple, kCountedBytes, desc),
                value_or(kMaxChunks, PG_INT64_MAX),
                value_or(kMaxBytes, PG_INT64_MAX),
                interval(kMaxAge),
                interval(kDeleteAfterClose),
                interval(kMaxIdle),
                value_or(kExpiresAt, DT_NOEND),
                value_or(kTouchedAt, DT_NOBEGIN),
                value_or(kNextDue, DT_NOEND)};
        found = true;
        return false;
    });
    return found;
}

// table_tuple_lock() does not follow a version that was replaced to the current one: that is TM_Updated. The snapshot
// keeps the version from being pruned meanwhile.
bool try_lock_row(Oid table, Oid index, int64 stream_id, LockTupleMode mode, Snapshot snapshot) {
    const Snapshot latest = snapshot == nullptr ? RegisterSnapshot(GetLatestSnapshot()) : nullptr;
    if (snapshot == nullptr)
        snapshot = latest;
    ItemPointerData at;
    bool locked = false;
    visit_by_id(table, index, stream_id, snapshot, [&](HeapTuple tuple, TupleDesc) {
        at = tuple->t_self;
        locked = true;
        return false;
    });
    if (locked) {
        const Relation rel = table_open(table, RowExclusiveLock);
        TupleTableSlot *slot = table_slot_create(rel, nullptr);
        TM_FailureData failure;
        locked = table_tuple_lock(rel, &at, snapshot, slot, GetCurrentCommandId(false), mode, LockWaitSkip, 0,
                                  &failure) == TM_Ok;
        ExecDropSingleTupleTableSlot(slot);
        table_close(rel, NoLock);
    }
    if (latest != nullptr)
        UnregisterSnapshot(latest);
    return locked;
}

}  // namespace rill
