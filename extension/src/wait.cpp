// stream_wait, and the loop behind every wait in the server. See wait.hpp and wait_list.hpp.
#include "wait.hpp"

#include "boundary.hpp"
#include "database_slot.hpp"
#include "pg_compat.hpp"
#include "read.hpp"
#include "settings.hpp"
#include "transaction_end.hpp"
#include "wait_list.hpp"

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

bool wait_for_one(const StreamName &name, int64 cursor, int64 timeout, void (*let_go)(), int64 *head) {
    return wait_until(&name.key, 1, timeout, let_go, [&] {
        *head = 0;
        Known known;
        if (known_idle(name, cursor, &known))
            return false;
        if (known.stream_id == 0)
            known = known_readable(name);
        Look look;
        look.begin();
        bool found;
        const VisibleStream stream = open_after(name, cursor, known, look, &found);
        CursorState state = check_cursor(stream, cursor);
        if (state == CursorState::good && stream.exists) {
            *head = find_news(look, stream, cursor, known, found);
            if (*head == 0)
                state = check_ahead(look.chunks(), stream, cursor);
            if (*head == 0 && state == CursorState::good && is_eof(look, stream, cursor))
                *head = cursor;
        }
        look.end();
        if (state != CursorState::good)
            refuse_cursor(state, name, cursor);
        return *head > 0;
    });
}

}  // namespace rill

// stream_wait(stream text, chunk_id bigint, timeout interval) returns bigint
RILL_FUNCTION(pg_rill_wait) {
    using namespace rill;
    const StreamName name = stream_argument(fcinfo, 0);
    const int64 cursor = cursor_argument(fcinfo, 1, "chunk_id");
    const int64 timeout = timeout_argument(fcinfo, 2);
    int64 head = 0;
    if (!wait_for_one(name, cursor, timeout, nullptr, &head))
        PG_RETURN_NULL();
    return Int64GetDatum(head);
}
