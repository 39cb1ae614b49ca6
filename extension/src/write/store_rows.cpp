// See store_rows.hpp.
#include "write/store_rows.hpp"

#include "tables/chunk_scan.hpp"

namespace rill {

namespace {

bool store_speculatively(Relation table, const KeyIndexes &indexes, HeapTuple tuple, const Datum *keys) {
    const TransactionId transaction = GetCurrentTransactionId();
    // Who meets the row waits for this lock, not for our transaction.
    const uint32 token = SpeculativeInsertionLockAcquire(transaction);
    HeapTupleHeaderSetSpeculativeToken(tuple->t_data, token);
    heap_insert(table, tuple, GetCurrentCommandId(true), HEAP_INSERT_SPECULATIVE, nullptr);
    const bool stored = insert_keys(table, indexes, &tuple->t_self, keys);
    if (stored)
        heap_finish_speculative(table, &tuple->t_self);
    else
        heap_abort_speculative(table, &tuple->t_self);
    SpeculativeInsertionLockRelease(transaction);
    return stored;
}

bool same_columns(Relation index, Relation primary) {
    return index->rd_rel->relam == BTREE_AM_OID && index->rd_index->indisready && index->rd_index->indisunique &&
           index->rd_index->indnkeyatts == primary->rd_index->indnkeyatts &&
           memcmp(index->rd_index->indkey.values, primary->rd_index->indkey.values,
                  sizeof(int16) * static_cast<Size>(primary->rd_index->indnkeyatts)) == 0 &&
           heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, nullptr) &&
           heap_attisnull(index->rd_indextuple, Anum_pg_index_indexprs, nullptr) &&
           index->rd_index->indnatts == index->rd_index->indnkeyatts;
}

bool insert_key(Relation table, Relation index, ItemPointer tid, const Datum *keys) {
    constexpr int kMaxColumns = 4;
    Datum values[kMaxColumns];
    bool nulls[kMaxColumns] = {};
    const int columns = Min(kMaxColumns, IndexRelationGetNumberOfKeyAttributes(index));
    for (int i = 0; i < columns; ++i)
        values[i] = keys[i];
    // For a B-tree, index_insert() needs no IndexInfo, so none is built.
    return index_insert(index, values, nulls, tid, table, UNIQUE_CHECK_PARTIAL, false, nullptr);
}

}  // namespace

void KeyIndexes::open(Relation table, bool plain) {
    primary = index_open(primary_key_of(table), RowExclusiveLock);
    others = nullptr;
    other_count = 0;
    if (plain)
        return;
    List *list = RelationGetIndexList(table);
    others = static_cast<Relation *>(palloc(sizeof(Relation) * static_cast<Size>(list_length(list) + 1)));
    ListCell *cell;
    foreach (cell, list) {
        if (lfirst_oid(cell) == RelationGetRelid(primary))
            continue;
        const Relation index = index_open(lfirst_oid(cell), RowExclusiveLock);
        if (same_columns(index, primary))
            others[other_count++] = index;
        else
            index_close(index, NoLock);
    }
    list_free(list);
}

void KeyIndexes::close() const {
    for (int i = 0; i < other_count; ++i)
        index_close(others[i], NoLock);
    index_close(primary, NoLock);
}

bool KeyIndexes::contains(Oid index) const {
    for (int i = 0; i < other_count; ++i)
        if (RelationGetRelid(others[i]) == index)
            return true;
    return RelationGetRelid(primary) == index;
}

bool insert_keys(Relation table, const KeyIndexes &indexes, ItemPointer tid, const Datum *keys) {
    bool alone = insert_key(table, indexes.primary, tid, keys);
    for (int i = 0; i < indexes.other_count; ++i)
        alone = insert_key(table, indexes.others[i], tid, keys) && alone;
    return alone;
}

bool store_row(Relation table, const KeyIndexes &indexes, HeapTuple tuple, const Datum *keys) {
    if (is_decoded(table))
        return store_speculatively(table, indexes, tuple, keys);
    heap_insert(table, tuple, GetCurrentCommandId(true), 0, nullptr);
    if (insert_keys(table, indexes, &tuple->t_self, keys))
        return true;
    remove_rows(table, &tuple->t_self, 1);
    return false;
}

void remove_rows(Relation table, ItemPointerData *tids, int count) {
    CommandCounterIncrement();  // heap_delete() accepts only rows of an earlier command
    for (int i = 0; i < count; ++i)
        simple_heap_delete(table, &tids[i]);
}

}  // namespace rill
