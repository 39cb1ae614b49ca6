// What users have added to one of our tables, as far as inserting a row concerns it: columns with defaults, generated
// columns, triggers, constraints and indexes. They work as for an INSERT, as the owner of the table and
// security-restricted (OwnerScope), but none of their code runs under the append lock:
//
//   before it   BEFORE STATEMENT triggers, defaults, BEFORE ROW triggers, stored generated columns. What only the lock
//               can tell (the chunk's id and time) is null there.
//   under it    the heap row and its entry in the primary key, by the caller
//   after it    CHECK and NOT NULL, all other indexes, AFTER triggers
//
// So user code that waits holds up its own append and no other, and triggers that append elsewhere, to the same stream
// too, take one append lock after the other, never two at once: no deadlock.
//
// Why readers stay right. Until the transaction ends the row is one that is not decided, whatever is still to be
// checked. An error afterwards aborts the (sub)transaction, and with it the row, which has then been neither visible to
// anybody nor the last word about its id: a gap. An EOF among such rows is one that was rolled back (reserve_ids.cpp).
// Must survive: an append that stores nothing in the end (a repeat, a closed stream) or has to wait and try again,
// after BEFORE triggers have been fired, which happens once; columns that were dropped; invalid indexes; and a trigger
// that appends.
#pragma once
#include "write/store_rows.hpp"

namespace rill {

// The table is as the extension created it, for those who insert: one index, no triggers of users that an INSERT would
// fire, no added columns, constraints or generated values. To be asked with the table locked.
bool is_plain(Relation table, int columns);

class UserAdditions {
public:
    // Before the append lock. `columns` are ours, the first ones; `late` tells which of them may be known only under
    // the lock. The caller inserts the entries of `keys`.
    void begin(Relation table, int columns, const bool *late, const KeyIndexes &keys);
    // A row to be stored, with zeros for its late columns; `nulls` tells which others are null. Raises 39P01 when a
    // trigger returns no row or another value for one of our columns.
    [[nodiscard]] HeapTuple complete(const Datum *values, const bool *nulls, const bool *late);
    // After the lock, for each row that was stored.
    void check(HeapTuple tuple);
    // At last, whether or not rows were stored.
    void end(bool stored);

private:
    void skip_own_triggers();
    void skip_indexes(const KeyIndexes &keys);
    void prepare_defaults();
    void fill_defaults(TupleTableSlot *slot);
    void check_unchanged(TupleTableSlot *slot, const Datum *values, const bool *nulls, const bool *late) const;

    Relation table_;
    int columns_;
    EState *estate_;
    ResultRelInfo *result_;
    ExprState **defaults_;  // by column; null for ours and for those without a default
    TransitionCaptureState *transition_;
    TupleTableSlot *new_;     // a row in the making
    TupleTableSlot *stored_;  // a stored row
};
static_assert(std::is_trivially_destructible_v<UserAdditions>);

}  // namespace rill
