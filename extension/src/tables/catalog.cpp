// See catalog.hpp.
#include "tables/catalog.hpp"

namespace rill {

namespace {

struct {
    Tables tables;
    bool valid;
    bool watching;
    uint32 database;   // this database's hash in DATABASEOID
    uint64 relations;  // counts the invalidations of any relation
    uint64 rights;
} cache = {{}, false, false, 0, 0, 1};

extern "C" {

void rill_relation_changed(Datum, Oid relation) {
    ++cache.relations;
    if (relation == InvalidOid || relation == cache.tables.stream || relation == cache.tables.chunk ||
        relation == cache.tables.producer) {
        cache.valid = false;
        ++cache.rights;
    }
}

void rill_role_changed(Datum, int, uint32) { ++cache.rights; }

// Its owner is the one member of pg_database_owner.
void rill_database_changed(Datum, int, uint32 database) {
    if (database == 0 || database == cache.database)
        ++cache.rights;
}

}  // extern "C"

Oid extension_schema() {
    const Oid extension = get_extension_oid("pg_rill", false);
    const Relation rel = table_open(ExtensionRelationId, AccessShareLock);
    ScanKeyData key[1];
    ScanKeyInit(&key[0], Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(extension));
    const SysScanDesc scan = systable_beginscan(rel, ExtensionOidIndexId, true, nullptr, 1, key);
    const HeapTuple tuple = systable_getnext(scan);
    const Oid schema =
        HeapTupleIsValid(tuple) ? reinterpret_cast<Form_pg_extension>(GETSTRUCT(tuple))->extnamespace : InvalidOid;
    systable_endscan(scan);
    table_close(rel, AccessShareLock);
    return schema;
}

Oid relation_of(const char *name, Oid schema) {
    const Oid relation = get_relname_relid(name, schema);
    if (!OidIsValid(relation))
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation \"%s\" of extension pg_rill does not exist", name),
                 errhint("The extension is damaged: drop and create it again, or restore it from a dump.")));
    return relation;
}

void read_row(TupleDesc desc, HeapTuple tuple, StreamRow *row) {
    bool isnull;
    row->id = DatumGetInt64(heap_getattr(tuple, kStreamId, desc, &isnull));
    row->trimmed_through = DatumGetInt64(heap_getattr(tuple, kTrimmedThrough, desc, &isnull));
    row->begins_after = DatumGetInt64(heap_getattr(tuple, kBeginsAfter, desc, &isnull));
    row->own = TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
}

}  // namespace

const Tables &tables() {
    if (!cache.watching) {
        cache.database = GetSysCacheHashValue1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
        // Whatever decides who may use table stream: what acl.c itself watches, and the table.
        CacheRegisterRelcacheCallback(rill_relation_changed, 0);
        CacheRegisterSyscacheCallback(AUTHOID, rill_role_changed, 0);
        CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, rill_role_changed, 0);
        CacheRegisterSyscacheCallback(DATABASEOID, rill_database_changed, 0);
        cache.watching = true;
    }
    // An invalidation may arrive while the names are looked up: then again, but a bounded number of times
    // (debug_discard_caches sends one at each turn). What was found is good at least for this call. An error leaves
    // the old ones invalid.
    for (int tries = 0; !cache.valid && tries < 3; ++tries) {
        const uint64 before = cache.relations;
        Tables found = {};
        found.schema = extension_schema();
        found.stream = relation_of("stream", found.schema);
        found.stream_pkey = relation_of("stream_pkey", found.schema);
        found.stream_name_index = relation_of("stream_name_key", found.schema);
        found.stream_tombstones = relation_of("stream_tombstone_key", found.schema);
        found.chunk = relation_of("stream_chunk", found.schema);
        found.producer = relation_of("stream_producer", found.schema);
        const HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(found.stream));
        if (HeapTupleIsValid(tuple)) {
            found.row_security = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relrowsecurity;
            ReleaseSysCache(tuple);
        }
        cache.tables = found;
        cache.valid = cache.relations == before;
    }
    return cache.tables;
}

uint64 rights_generation() { return cache.rights; }

namespace {

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
    // A dirty snapshot shows every version that is, or may become, the row: at most the old
    // one (dirty.xmax runs) and its successor (dirty.xmin runs).
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
