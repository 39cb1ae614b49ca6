// See retention_pass.hpp.
// A pass has three phases: limits are enforced, deleted streams purged, old tombstones forgotten. It works in small
// transactions and ends after at most two seconds; the next one continues after the stream where it ended. The position
// moves before a stream is worked on, so a stream that raises an error is skipped until all others have had their turn.
// Must survive: the extension dropped between two transactions, rows locked by sessions (skipped), an error at any
// stream (this process ends; the next pass begins after it).
#include "retention/retention_pass.hpp"

#include "base/monotonic_clock.hpp"
#include "base/settings.hpp"
#include "retention/delete_stream.hpp"
#include "retention/enforce_limits.hpp"
#include "retention/retention_worker.hpp"
#include "shmem/database_slot.hpp"
#include "shmem/launcher_state.hpp"

namespace rill {

namespace {

constexpr long kLongestPass = 2000;  // ms
constexpr int kListed = 100;         // streams listed at a time

int64 end_at = 0;

PassPosition read_position() {
    SpinLockAcquire(&launcher_state->mutex);
    const PassPosition position = launcher_state->retention_pass.position;
    SpinLockRelease(&launcher_state->mutex);
    return position;
}

void report(const PassPosition &position, PassResult result) {
    SpinLockAcquire(&launcher_state->mutex);
    if (launcher_state->retention_pass.database == MyDatabaseId) {  // a new launcher may have started another pass
        launcher_state->retention_pass.position = position;
        launcher_state->retention_pass.result = result;
    }
    SpinLockRelease(&launcher_state->mutex);
}

// Begins the transaction of a removal, unless the time is up or the tables cannot be locked.
bool begin_removal() { return monotonic_now() < end_at && begin_batch() == BatchStart::begun; }

void commit_removal(int64 chunks, int64 streams) {
    commit_batch();
    DatabaseSlot *slot = my_database_slot();
    if (slot == nullptr)
        return;
    pg_atomic_fetch_add_u64(&slot->trimmed, chunks);
    pg_atomic_fetch_add_u64(&slot->deleted, streams);
}

// The three phases. Each continues after position->after, and returns false when it could not finish.

bool run_limits_phase(PassPosition *position, bool *found_work) {
    const MemoryContext context = AllocSetContextCreate(TopMemoryContext, "pg_rill limits", ALLOCSET_DEFAULT_SIZES);
    LimitedStream streams[kListed];
    for (;;) {
        if (begin_batch() != BatchStart::begun)
            return false;
        MemoryContextReset(context);
        int64 through = position->after;
        const int n = list_limited(&through, streams, kListed, context);
        commit_batch();
        if (through == position->after)
            return true;
        *found_work = true;
        bool repeat = false;
        for (int i = 0; i < n && !repeat; ++i) {
            position->after = streams[i].id;
            report(*position, PassResult::failed);
            const bool begun = begin_removal();
            Enforced enforced = {0, 0, true};
            if (begun) {
                enforced = enforce_limits(streams[i]);
                commit_removal(enforced.chunks, enforced.streams);
            }
            if (!enforced.more)
                continue;
            --position->after;  // repeat this one: its row has changed, or its turn has not begun
            if (!begun)
                return false;
            repeat = true;
        }
        if (!repeat)
            position->after = through;
    }
}

bool run_purge_phase(PassPosition *position, bool *found_work) {
    int64 deleted[kListed];
    for (;;) {
        if (begin_batch() != BatchStart::begun)
            return false;
        const int n = list_unpurged(position->after, deleted, kListed);
        commit_batch();
        if (n == 0)
            return true;
        *found_work = true;
        for (int i = 0; i < n; ++i) {
            position->after = deleted[i];
            report(*position, PassResult::failed);
            for (bool more = true; more;) {
                if (!begin_removal()) {
                    --position->after;
                    return false;
                }
                const int64 chunks = purge_stream(deleted[i], &more);
                commit_removal(chunks, 0);
            }
        }
    }
}

bool run_forget_phase() {
    for (bool more = true; more;) {
        if (!begin_removal())
            return false;
        more = forget_tombstones(forget_deleted_after) >= kPurgeBatch;
        commit_removal(0, 0);
    }
    return true;
}

}  // namespace

void run_retention_pass() {
    PassPosition position = read_position();
    end_at = milliseconds_after(monotonic_now(), kLongestPass);
    bool found_work = position.phase != PassPhase::limits || position.after > 0;

    const BatchStart start = begin_batch();
    if (start != BatchStart::begun) {
        // Tables that another session has locked are tried again after the usual interval.
        report(position, start == BatchStart::not_installed ? PassResult::no_work : PassResult::failed);
        return;
    }
    if (DatabaseSlot *slot = attach_database_slot())
        pg_atomic_write_u64(&slot->retention_at, static_cast<uint64>(GetCurrentTimestamp()));
    commit_batch();

    bool finished = true;
    if (position.phase == PassPhase::limits) {
        finished = run_limits_phase(&position, &found_work);
        if (finished)
            position = {PassPhase::purge, 0};
    }
    if (finished && position.phase == PassPhase::purge) {
        finished = run_purge_phase(&position, &found_work);
        if (finished)
            position = {PassPhase::forget, 0};
    }
    if (finished) {
        report({}, PassResult::failed);  // after an error in here the next pass begins with the first phase
        finished = run_forget_phase();
    }
    if (!finished)
        report(position, PassResult::unfinished);
    else
        report({}, found_work ? PassResult::finished : PassResult::no_work);
}

}  // namespace rill
