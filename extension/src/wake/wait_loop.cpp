// See wait_loop.hpp, and wait_list.hpp for why no wake-up is missed between a check and a sleep.
#include "wake/wait_loop.hpp"

#include "base/monotonic_clock.hpp"
#include "base/pg_compat.hpp"
#include "base/settings.hpp"
#include "shmem/database_slot.hpp"
#include "shmem/wait_list.hpp"
#include "wake/transaction_end.hpp"

namespace rill {

namespace {

// Sleeps until the latch is set or the time is over. True: the client has sent something, or has disconnected.
bool sleep_on_latch(long ms, UntilInput until_input) {
    constexpr int kClientSocket = 0;
    bool input = false;
    if (until_input == UntilInput::no || FeBeWaitSet == nullptr) {
        (void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms, shared->stream_wait);
    } else {
        // The set that the server uses for the client's socket; each user sets the events that it needs first.
        WaitEvent occurred;
        ModifyWaitEvent(FeBeWaitSet, kClientSocket, WL_SOCKET_READABLE, nullptr);
        if (WaitEventSetWait(FeBeWaitSet, ms, &occurred, 1, shared->stream_wait) > 0) {
            if ((occurred.events & WL_POSTMASTER_DEATH) != 0)
                proc_exit(1);
            input = (occurred.events & WL_SOCKET_READABLE) != 0;
        }
    }
    ResetLatch(MyLatch);
    return input;
}

}  // namespace

bool wait_until(const uint64 *keys, int count, int64 timeout, void (*before_sleep)(), WaitCheck check, void *state,
                UntilInput until_input) {
    if (check(state))
        return true;
    if (timeout == 0)
        return false;
    if (IsolationUsesXactSnapshot())
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("cannot wait for a stream in a REPEATABLE READ or SERIALIZABLE transaction"),
                        errdetail("The transaction's snapshot will never show what is committed while it waits."),
                        errhint("Wait in a READ COMMITTED transaction, or use a timeout of 0.")));
    require_shared("wait for a stream");

    DatabaseSlot *slot = attach_database_slot(Retry::rarely);
    register_transaction_callbacks();  // they end the wait when an error does
    const int64 deadline = timeout < 0 ? kNever : monotonic_now() + timeout;
    bool found = false;
    uint32 signals = kSignalEverything;
    bool input = false;
    // A wait can repeat its check for hours: memory that one check allocates must not be kept until the wait ends.
    const MemoryContext outer = CurrentMemoryContext;
    const MemoryContext one_check = AllocSetContextCreate(outer, "pg_rill wait check", ALLOCSET_DEFAULT_SIZES);
    (void) begin_wait(keys, count);
    for (;;) {
        MemoryContextSwitchTo(one_check);
        found = check(state);
        MemoryContextSwitchTo(outer);
        MemoryContextReset(one_check);
        if (found && signals == 0 && slot != nullptr)
            pg_atomic_fetch_add_u64(&slot->rescues, 1);
        int64 now = monotonic_now();
        if (found || input || (signals & kSignalInterrupt) != 0 || now >= deadline)
            break;
        const int64 sleep_until = Min(milliseconds_after(now, recheck_interval), deadline);
        if (before_sleep != nullptr)
            before_sleep();
        InvalidateCatalogSnapshotConditionally();  // otherwise it holds back vacuum while we sleep
        // A signal may have come during the check, with its latch already reset by a wait for a lock.
        while ((signals = take_signals()) == 0 && !input && now < sleep_until) {
            input = sleep_on_latch(milliseconds_until(now, sleep_until), until_input);
            CHECK_FOR_INTERRUPTS();
            now = monotonic_now();
        }
    }
    end_wait();
    MemoryContextDelete(one_check);
    return found;
}

}  // namespace rill
