// See tombstone_removal.hpp.
// What is remembered is which (sub)transaction may, not that somebody may: an error ends the subtransaction without
// calling end(), and no later one has the same two numbers.
#include "tables/tombstone_removal.hpp"

namespace rill {

namespace {

struct Level {
    LocalTransactionId transaction;
    SubTransactionId subtransaction;
};
Level removing = {InvalidLocalTransactionId, InvalidSubTransactionId};

Level current_level() {
    VirtualTransactionId transaction;
    GET_VXID_FROM_PGPROC(transaction, *MyProc);
    return {transaction.localTransactionId, GetCurrentSubTransactionId()};
}

}  // namespace

TombstoneRemoval::TombstoneRemoval() { removing = current_level(); }

void TombstoneRemoval::end() const { removing = {InvalidLocalTransactionId, InvalidSubTransactionId}; }

bool removing_tombstones() {
    const Level now = current_level();
    return now.transaction == removing.transaction && now.subtransaction == removing.subtransaction;
}

}  // namespace rill
