// See two_phase.hpp.
#include "wake/two_phase.hpp"

#include "shmem/database_slot.hpp"

namespace rill {

namespace {

ProcessUtility_hook_type previous_utility = nullptr;
uint64 preparing = 0;  // the identifier of the PREPARE TRANSACTION that this transaction ends with; 0: none

uint64 gid_key(const char *gid) {
    return hash_bytes_extended(reinterpret_cast<const unsigned char *>(gid), static_cast<int>(strlen(gid)),
                               MyDatabaseId) |
           1;
}

// The note for this identifier, else the place for a new one: a free place or the oldest.
PreparedTouch *place_for(uint64 gid) {
    PreparedTouch *place = &prepared_touches[0];
    for (int i = 0; i < max_prepared_xacts; ++i) {
        PreparedTouch *each = &prepared_touches[i];
        if (each->gid == gid)
            return each;
        if (place->gid != 0 && (each->gid == 0 || each->serial < place->serial))
            place = each;
    }
    return place;
}

// Takes the note away; false when there is none.
bool take_note(uint64 gid, PreparedTouch *note) {
    bool found = false;
    LWLockAcquire(&shared->prepared_lock->lock, LW_EXCLUSIVE);
    for (int i = 0; i < max_prepared_xacts && !found; ++i)
        if (prepared_touches[i].gid == gid) {
            *note = prepared_touches[i];
            prepared_touches[i].gid = 0;
            found = true;
        }
    LWLockRelease(&shared->prepared_lock->lock);
    return found;
}

void wake_for(uint64 gid) {
    PreparedTouch note;
    (void) attach_database_slot();
    if (!take_note(gid, &note) || note.count < 0) {
        wake_readers(nullptr, 0, true);
        return;
    }
    Touched touched[kPreparedStreams];
    for (int i = 0; i < note.count; ++i)
        touched[i] = {note.keys[i], note.streams[i], 0};
    wake_readers(touched, note.count, false);
}

extern "C" void rill_process_utility(PlannedStmt *statement, const char *source, bool read_only_tree,
                                     ProcessUtilityContext context, ParamListInfo parameters,
                                     QueryEnvironment *environment, DestReceiver *receiver,
                                     QueryCompletion *completion) {
    const auto *transaction =
        IsA(statement->utilityStmt, TransactionStmt) ? castNode(TransactionStmt, statement->utilityStmt) : nullptr;
    bool ends_prepared = false;
    uint64 gid = 0;
    if (transaction != nullptr && shared != nullptr && max_prepared_xacts > 0 && transaction->gid != nullptr) {
        ends_prepared =
            transaction->kind == TRANS_STMT_COMMIT_PREPARED || transaction->kind == TRANS_STMT_ROLLBACK_PREPARED;
        gid = gid_key(transaction->gid);
        if (transaction->kind == TRANS_STMT_PREPARE) {
            watch_transaction_ends();
            preparing = gid;  // PREPARE itself happens after this statement
        }
    }
    if (previous_utility != nullptr)
        previous_utility(statement, source, read_only_tree, context, parameters, environment, receiver, completion);
    else
        standard_ProcessUtility(statement, source, read_only_tree, context, parameters, environment, receiver,
                                completion);
    if (ends_prepared)
        wake_for(gid);
}

}  // namespace

void install_utility_hook() {
    previous_utility = ProcessUtility_hook;
    ProcessUtility_hook = rill_process_utility;
}

void transaction_prepared(const Touched *touched, int count, bool everything) {
    if (shared == nullptr || preparing == 0)
        return;
    LWLockAcquire(&shared->prepared_lock->lock, LW_EXCLUSIVE);
    PreparedTouch *place = place_for(preparing);
    place->gid = preparing;
    place->serial = ++shared->prepared_serial;
    place->count = everything || count > kPreparedStreams ? -1 : count;
    for (int i = 0; i < place->count; ++i) {
        place->keys[i] = touched[i].key;
        place->streams[i] = touched[i].stream_id;
    }
    LWLockRelease(&shared->prepared_lock->lock);
    preparing = 0;
}

}  // namespace rill
