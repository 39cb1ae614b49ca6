// stream_listen and stream_unlisten.
// LISTEN takes effect at commit (PreCommit_Notify), and the session is counted after that. So a notifier that is
// started for it finds it listening, and its first read finds what was committed in between.
// stream_unlisten(), UNLISTEN, DISCARD ALL (utility_hook.cpp) and the end of the session lower the count: after a
// session pooler's reset no NOTIFYs may be sent that no client reads.
// Must survive: rollback of the registering transaction or savepoint, a session that ends without unlistening, a
// standby (where the server has no LISTEN), and a database without a free slot.
#include "wake/listen.hpp"

#include "base/boundary.hpp"
#include "shmem/database_slot.hpp"
#include "tables/privileges.hpp"
#include "shmem/launcher_state.hpp"
#include "wake/transaction_end.hpp"

namespace rill {

namespace {

// What the running transaction requested: one entry for each nesting level, the innermost on top, as in the server's
// own list of pending LISTENs. Allocated in the transaction's memory context.
struct PendingListen {
    bool listen;
    int level;
    PendingListen *outer;
};
PendingListen *pending = nullptr;

bool registered = false;  // this session is counted in its slot's listeners

void set_registered(bool listen) {
    DatabaseSlot *slot = my_database_slot();
    if (slot == nullptr || registered == listen)
        return;
    registered = listen;
    if (listen) {
        pg_atomic_fetch_add_u32(&slot->listeners, 1);
        wake_launcher();
    } else if (pg_atomic_sub_fetch_u32(&slot->listeners, 1) == 0)
        wake_notifier(slot);  // it exits
}

extern "C" void rill_stop_listening(int, Datum) { set_registered(false); }

void request(bool listen) {
    register_transaction_callbacks();
    const int level = GetCurrentTransactionNestLevel();
    if (pending == nullptr || pending->level < level) {
        auto *added = static_cast<PendingListen *>(MemoryContextAlloc(TopTransactionContext, sizeof(PendingListen)));
        *added = {listen, level, pending};
        pending = added;
    }
    pending->listen = listen;
}

}  // namespace

void session_unlistened() {
    if (registered || pending != nullptr)
        request(false);
}

void listen_transaction_ended(bool committed) {
    if (committed && pending != nullptr)
        set_registered(pending->listen);
    pending = nullptr;
}

void listen_subtransaction_ended(bool committed, int level) {
    PendingListen *top = pending;
    if (top == nullptr || top->level < level)
        return;
    if (!committed)
        pending = top->outer;
    else if (top->outer != nullptr && top->outer->level == level - 1) {
        top->outer->listen = top->listen;
        pending = top->outer;
    } else
        top->level = level - 1;
}

}  // namespace rill

// stream_listen() returns text
RILL_FUNCTION(pg_rill_listen) {
    using namespace rill;
    static bool exit_callback = false;
    require_privilege(ACL_SELECT);  // wake-ups name streams
    require_shared("listen for wake-ups");
    if (RecoveryInProgress())
        ereport(ERROR,
                (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION), errmsg("cannot execute stream_listen() during recovery"),
                 errhint("LISTEN does not work on a standby. Use stream_wait(), which does.")));
    if (MyBackendType != B_BACKEND)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("cannot execute stream_listen() within a background process")));
    if (attach_database_slot() == nullptr)
        ereport(WARNING, (errmsg("this session will receive no wake-ups: pg_rill has no free slot for this database"),
                          errhint("Increase \"pg_rill.max_databases\". Until then, find new chunks by polling.")));
    else if (!exit_callback) {
        // After the slot's own exit callback was registered, so that it runs before it.
        on_shmem_exit(rill_stop_listening, 0);
        exit_callback = true;
    }
    Async_Listen(kChannel);
    request(true);
    PG_RETURN_TEXT_P(cstring_to_text(kChannel));
}

// stream_unlisten() returns text
RILL_FUNCTION(pg_rill_unlisten) {
    using namespace rill;
    require_shared("stop listening for wake-ups");
    Async_Unlisten(kChannel);
    session_unlistened();
    PG_RETURN_TEXT_P(cstring_to_text(kChannel));
}
