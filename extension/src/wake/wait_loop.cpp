// See wait_loop.hpp, and wait_list.hpp for why no wake-up is missed between looking and sleeping.
#include "wake/wait_loop.hpp"

#include "base/pg_compat.hpp"
#include "base/settings.hpp"
#include "shmem/database_slot.hpp"
#include "shmem/wait_list.hpp"
#include "wake/transaction_end.hpp"

namespace rill {

namespace {

// Until the latch is set or the time is over. True: the client has sent something, or is gone.
bool sleep_on_latch(long ms, uint32 event, UntilInput until_input) {
    constexpr int kClientSocket = 0;
    bool input = false;
    if (until_input == UntilInput::no || FeBeWaitSet == nullptr) {
        (void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms, event);
    } else {
        // The set that the server reads and writes the client's socket with; each use of it says anew what it waits
        // for.
        WaitEvent occurred;
        ModifyWaitEvent(FeBeWaitSet, kClientSocket, WL_SOCKET_READABLE, nullptr);
        if (WaitEventSetWait(FeBeWaitSet, ms, &occurred, 1, event) > 0) {
            if ((occurred.events & WL_POSTMASTER_DEATH) != 0)
                proc_exit(1);
            input = (occurred.events & WL_SOCKET_READABLE) != 0;
        }
    }
    ResetLatch(MyLatch);
    return input;
}

}  // namespace

bool wait_until(const uint64 *keys, int count, int64 timeout, void (*let_go)(), LookFunction look, void *state,
                UntilInput until_input) {
    static uint32 event = 0;  // not by an initialiser: an error in there would leave its guard locked
    if (event == 0)
        event = wait_event("PgRillStreamWait");
    if (look(state))
        return true;
    if (timeout == 0)
        return false;
    if (IsolationUsesXactSnapshot())
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("this transaction's snapshot can never show what would be waited for"),
                        errhint("Wait in a READ COMMITTED transaction, or read with timeout 0.")));
    require_shared("wait for a stream");

    DatabaseSlot *slot = attach_database_slot();
    watch_transaction_ends();  // they end the wait when an error does
    const TimestampTz deadline = timeout < 0 ? DT_NOEND : GetCurrentTimestamp() + timeout;
    bool found = false;
    bool woken = true;
    bool input = false;
    // Looks are repeated as long as the wait lasts: what one of them allocates must not stay until its end.
    const MemoryContext outer = CurrentMemoryContext;
    const MemoryContext one_look = AllocSetContextCreate(outer, "pg_rill look", ALLOCSET_DEFAULT_SIZES);
    (void) begin_wait(keys, count);
    for (;;) {
        MemoryContextSwitchTo(one_look);
        found = look(state);
        MemoryContextSwitchTo(outer);
        MemoryContextReset(one_look);
        if (found && !woken && slot != nullptr)
            pg_atomic_fetch_add_u64(&slot->rescues, 1);
        TimestampTz now = GetCurrentTimestamp();
        if (found || input || now >= deadline)
            break;
        const TimestampTz recheck = now + static_cast<int64>(recheck_interval) * 1000;
        if (let_go != nullptr)
            let_go();
        InvalidateCatalogSnapshotConditionally();  // else it would hold back vacuum while we sleep
        // A signal may have come during the look, and its latch may be used up: a wait for a lock resets it.
        while (!(woken = take_signals() != 0) && !input && now < Min(recheck, deadline)) {
            input = sleep_on_latch(TimestampDifferenceMilliseconds(now, Min(recheck, deadline)), event, until_input);
            CHECK_FOR_INTERRUPTS();
            now = GetCurrentTimestamp();
        }
    }
    end_wait();
    MemoryContextDelete(one_look);
    return found;
}

}  // namespace rill
