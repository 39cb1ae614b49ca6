// Stores rows and their entries in the primary key of one of our tables, without the executor, under the append lock.
//
// Others can store rows of a stream as well, by COPY, INSERT or replication, without the append lock. So an id that is
// free for all the id cache knows can be taken, and by a transaction that has not ended. Nothing may be waited for
// here: the key's entry is inserted with UNIQUE_CHECK_PARTIAL, which only reports that another row has the key, whether
// its transaction has ended or not (_bt_check_unique). Then our row is removed again, and the caller takes higher ids.
//
// Why removing it is right. To readers the row is one that its own transaction has deleted: they stop at it until that
// ends, and skip it afterwards. To those who insert the same key it is a row whose inserter runs, and later a dead one.
// Logical decoding must not see it at all: a subscriber would be given two rows with one key. Therefore, where a table
// is decoded, each row is a speculative insertion, as for ON CONFLICT, which is decoded only once it is confirmed.
// Elsewhere the row is an ordinary one, which costs nothing, and is deleted. Rows of the same batch that came before
// it had their keys to themselves; they are deleted in either case, which can be decoded.
// Must survive: rows with TOAST values (deleted with them), an error anywhere (the rows die with the transaction), and
// REINDEX CONCURRENTLY: its copy of the primary key will be the one that reads use, so the entries of both are inserted
// under the lock.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

// The primary key, and other indexes of exactly its columns.
struct KeyIndexes {
    Relation primary;
    Relation *others;
    int other_count;

    // The caller holds a lock on the table that INSERT takes. `plain`: there is no index but the primary key.
    void open(Relation table, bool plain);
    void close() const;
    [[nodiscard]] bool contains(Oid index) const;
};

// Stores a row; `keys` are its values of the primary key's columns, none of them null. False when another row has the
// same key: then this one is removed.
bool store_row(Relation table, const KeyIndexes &indexes, HeapTuple tuple, const Datum *keys);

// The entries of a row that is already in the table. False when another row has the same key; the row stays.
bool insert_keys(Relation table, const KeyIndexes &indexes, ItemPointer tid, const Datum *keys);

// Rows must be decoded one by one.
inline bool is_decoded(Relation table) { return XLogLogicalInfoActive() && RelationNeedsWAL(table); }

// Deletes rows that this transaction has just stored.
void remove_rows(Relation table, ItemPointerData *tids, int count);

}  // namespace rill
