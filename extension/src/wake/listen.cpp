// stream_listen and stream_unlisten.
// LISTEN takes effect at commit (PreCommit_Notify), and the session is counted after that. So a worker that starts for
// it finds it listening; what is committed in between, its first read finds.
// Must survive: rollback of the registering transaction or savepoint, a session that ends without unlistening, UNLISTEN
// * behind our back (NOTIFYs nobody hears), a standby (where the server has no LISTEN), and a database without a free
// slot.
#include "wake/listen.hpp"

#include "base/boundary.hpp"
#include "shmem/database_slot.hpp"
#include "wake/transaction_end.hpp"

namespace rill {

namespace {

// What the running transaction asked for, the latest on top: one for each nesting level, as in the
// server's own list of pending LISTENs. Lives in the transaction's memory.
struct Wish {
    bool listen;
    int level;
    Wish *below;
};

struct {
    bool counted;   // in the slot's listeners
    bool changed;   // the running transaction called one of the two functions
    bool watching;  // the exit callback is registered
    Wish *wishes;
} mine = {};

void count(bool listen) {
    DatabaseSlot *slot = my_database_slot();
    if (slot == nullptr || mine.counted == listen)
        return;
    mine.counted = listen;
    if (listen) {
        pg_atomic_fetch_add_u32(&slot->listeners, 1);
        wake_launcher();
    } else if (pg_atomic_sub_fetch_u32(&slot->listeners, 1) == 0)
        wake_worker(slot);  // it leaves the database
}

extern "C" void rill_stop_listening(int, Datum) { count(false); }

void change(bool listen) {
    watch_transaction_ends();
    mine.changed = true;
    const int level = GetCurrentTransactionNestLevel();
    if (mine.wishes == nullptr || mine.wishes->level < level) {
        auto *wish = static_cast<Wish *>(MemoryContextAlloc(TopTransactionContext, sizeof(Wish)));
        *wish = {listen, level, mine.wishes};
        mine.wishes = wish;
    }
    mine.wishes->listen = listen;
}

}  // namespace

void listen_transaction_ended(bool committed) {
    if (!mine.changed)
        return;
    if (committed && mine.wishes != nullptr)
        count(mine.wishes->listen);
    mine.changed = false;
    mine.wishes = nullptr;
}

void listen_subtransaction_ended(bool committed, int level) {
    Wish *top = mine.wishes;
    if (top == nullptr || top->level < level)
        return;
    if (!committed)
        mine.wishes = top->below;
    else if (top->below != nullptr && top->below->level == level - 1) {
        top->below->listen = top->listen;
        mine.wishes = top->below;
    } else
        top->level = level - 1;
}

}  // namespace rill

// stream_listen() returns text
RILL_FUNCTION(pg_rill_listen) {
    using namespace rill;
    require_shared("listen for wake-ups");
    if (RecoveryInProgress())
        ereport(ERROR,
                (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION), errmsg("cannot execute stream_listen() during recovery"),
                 errhint("A standby has no LISTEN: use stream_wait(), which works here.")));
    if (MyBackendType != B_BACKEND)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("cannot execute stream_listen() within a background process")));
    if (attach_database_slot() == nullptr)
        ereport(WARNING,
                (errmsg("no wake-ups will be sent to this session: pg_rill has no free place for this database"),
                 errhint("Increase \"pg_rill.max_databases\"; polling works meanwhile.")));
    else if (!mine.watching) {
        // After the slot's own exit callback was registered, so that it runs before it.
        on_shmem_exit(rill_stop_listening, 0);
        mine.watching = true;
    }
    Async_Listen(kChannel);
    change(true);
    PG_RETURN_TEXT_P(cstring_to_text(kChannel));
}

// stream_unlisten() returns text
RILL_FUNCTION(pg_rill_unlisten) {
    using namespace rill;
    require_shared("stop listening for wake-ups");
    Async_Unlisten(kChannel);
    change(false);
    PG_RETURN_TEXT_P(cstring_to_text(kChannel));
}
