// See catalog.hpp.
// Columns are read by their numbers and index entries inserted without the executor, so a relation must be verified to
// be the one that the extension created. Otherwise the tables' owner could put another one in its place, and
// superusers' sessions would use it, too.
#include "tables/catalog.hpp"

#include "tables/own_triggers.hpp"

namespace rill {

CatalogCache catalog_cache = {{}, false, 1};

namespace {

struct {
    bool watching;
    uint32 database;   // hash value of this database's DATABASEOID entry
    uint64 relations;  // counts the invalidations of any relation
} watch = {false, 0, 0};

extern "C" {

void rill_relation_changed(Datum, Oid relation) {
    ++watch.relations;
    if (relation == InvalidOid || relation == catalog_cache.tables.stream || relation == catalog_cache.tables.chunk ||
        relation == catalog_cache.tables.producer || relation == catalog_cache.tables.state) {
        catalog_cache.valid = false;
        ++catalog_cache.rights;
    }
}

void rill_role_changed(Datum, int, uint32) { ++catalog_cache.rights; }

// Its owner is the one member of pg_database_owner.
void rill_database_changed(Datum, int, uint32 database) {
    if (database == 0 || database == watch.database)
        ++catalog_cache.rights;
}

}  // extern "C"

Oid schema_of(Oid extension) {
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

constexpr char kDamaged[] = "The extension is damaged: drop and create it again, or restore it from a dump.";

Oid relation_of(const char *name, Oid schema) {
    const Oid relation = get_relname_relid(name, schema);
    if (!OidIsValid(relation))
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
                        errmsg("relation \"%s\" of extension pg_rill does not exist", name), errhint("%s", kDamaged)));
    return relation;
}

[[noreturn]] void refuse_relation(const char *name, const char *detail) {
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                    errmsg("relation \"%s\" is not the one that extension pg_rill made", name), errdetail("%s", detail),
                    errhint("%s", kDamaged)));
    pg_unreachable();
}

constexpr Oid kStreamTypes[] = {INT8OID, TEXTOID, NAMEOID, TIMESTAMPTZOID, JSONBOID};
constexpr Oid kStateTypes[] = {INT8OID,        INT8OID,        INT8OID,        INTERVALOID, INT8OID, INT8OID,
                               INTERVALOID,    INTERVALOID,    TIMESTAMPTZOID, INT8OID,     INT8OID, INT8OID,
                               TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID,     BOOLOID};
constexpr Oid kChunkTypes[] = {INT8OID, INT8OID, INT4OID, TIMESTAMPTZOID, BOOLOID, BYTEAOID};
constexpr Oid kProducerTypes[] = {INT8OID, TEXTOID, INT8OID, INT8OID, INT8OID, TEXTOID};
static_assert(lengthof(kStreamTypes) == kStreamColumns && lengthof(kStateTypes) == kStateColumns &&
              lengthof(kChunkTypes) == kChunkColumns);

Oid access_method(Oid relation) {
    const HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
    if (!HeapTupleIsValid(tuple))
        return InvalidOid;
    const Oid method = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relam;
    ReleaseSysCache(tuple);
    return method;
}

// Columns after these may have been added by users.
template <int count>
Oid table_of(const char *name, Oid extension, Oid schema, const Oid (&types)[count]) {
    const Oid table = relation_of(name, schema);
    if (get_rel_relkind(table) != RELKIND_RELATION || access_method(table) != HEAP_TABLE_AM_OID)
        refuse_relation(name, "It is not an ordinary table.");
    if (getExtensionOfObject(RelationRelationId, table) != extension)
        refuse_relation(name, "It is not a member of the extension.");
    for (int i = 0; i < count; ++i)
        if (get_atttype(table, static_cast<AttrNumber>(i + 1)) != types[i])
            refuse_relation(name, psprintf("Its column number %d has another type, or was dropped.", i + 1));
    return table;
}

enum class IndexKind : bool { primary_key, other };

// A primary key is a B-tree with the types' default operators.
template <int count>
Oid index_of(const char *name, Oid table, Oid schema, IndexKind kind, const AttrNumber (&columns)[count]) {
    const Oid index = relation_of(name, schema);
    const HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
    const auto *form = HeapTupleIsValid(tuple) ? reinterpret_cast<Form_pg_index>(GETSTRUCT(tuple)) : nullptr;
    if (form == nullptr || form->indrelid != table || form->indnkeyatts != count ||
        memcmp(form->indkey.values, columns, sizeof(columns)) != 0 ||
        (kind == IndexKind::primary_key && !form->indisprimary) || access_method(index) != BTREE_AM_OID)
        refuse_relation(name, "It is not the same index on the same table.");
    ReleaseSysCache(tuple);
    return index;
}

}  // namespace

const Tables &load_tables() {
    if (!watch.watching) {
        watch.database = GetSysCacheHashValue1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
        // Everything that decides who may use table stream: the table, and what acl.c watches.
        CacheRegisterRelcacheCallback(rill_relation_changed, 0);
        CacheRegisterSyscacheCallback(AUTHOID, rill_role_changed, 0);
        CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, rill_role_changed, 0);
        CacheRegisterSyscacheCallback(DATABASEOID, rill_database_changed, 0);
        watch.watching = true;
    }
    // An invalidation may arrive during the lookup. Then it is repeated, but a bounded number of times
    // (debug_discard_caches sends one every time). The result is good at least for this call. An error leaves the old
    // one invalid.
    for (int tries = 0; !catalog_cache.valid && tries < 3; ++tries) {
        const uint64 before = watch.relations;
        Tables found = {};
        const Oid extension = get_extension_oid("pg_rill", false);
        found.schema = schema_of(extension);
        found.stream = table_of("stream", extension, found.schema, kStreamTypes);
        found.state = table_of("stream_state", extension, found.schema, kStateTypes);
        found.chunk = table_of("stream_chunk", extension, found.schema, kChunkTypes);
        found.producer = table_of("stream_producer", extension, found.schema, kProducerTypes);
        found.stream_pkey = index_of("stream_pkey", found.stream, found.schema, IndexKind::primary_key, {kStreamId});
        found.stream_name_index = index_of("stream_name_key", found.stream, found.schema, IndexKind::other, {kName});
        found.state_pkey =
            index_of("stream_state_pkey", found.state, found.schema, IndexKind::primary_key, {kStateStream});
        found.tombstones =
            index_of("stream_tombstone_key", found.state, found.schema, IndexKind::other, {kDeletedName});
        (void) index_of("stream_chunk_pkey", found.chunk, found.schema, IndexKind::primary_key,
                        {kChunkStream, kChunkId});
        (void) index_of("stream_producer_pkey", found.producer, found.schema, IndexKind::primary_key, {1, 2, 3, 4});
        const HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(found.stream));
        if (HeapTupleIsValid(tuple)) {
            found.row_security = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relrowsecurity;
            ReleaseSysCache(tuple);
        }
        find_own_triggers(extension, &found);
        catalog_cache.tables = found;
        catalog_cache.valid = watch.relations == before;
    }
    return catalog_cache.tables;
}

bool is_own_trigger(Oid function) {
    for (const Oid own : tables().own_triggers)
        if (own == function)
            return OidIsValid(own);
    return false;
}

}  // namespace rill
