// See retention_pass.hpp.
// A pass lasts at most two seconds. It begins with the streams that were touched and those in the queue; then three
// kinds of work take turns, each with a position where the next turn, or the next pass, continues:
//
//   due      streams whose time has come, the longest overdue first
//   walk     all streams with limits, after events that the schedule does not know of (retention_schedule.cpp)
//   purge    deleted streams
//
// and old tombstones are forgotten.
// Must survive: the extension dropped between two transactions, rows locked by sessions, an error at any stream or in
// any statement, and its own death at any point: what was taken out of the queue is then found by a walk. Touches that
// were taken are lost then; so are those of a crash.
#include "retention/retention_pass.hpp"

#include "base/monotonic_clock.hpp"
#include "base/settings.hpp"
#include "retention/delete_stream.hpp"
#include "retention/due_streams.hpp"
#include "retention/enforce_limits.hpp"
#include "retention/retention_worker.hpp"
#include "retention/stream_batches.hpp"
#include "retention/touch.hpp"
#include "shmem/launcher_state.hpp"

namespace rill {

namespace {

constexpr int64 kLongestPass = 2000;  // ms
constexpr int64 kTurn = 250;          // ms
constexpr int kListed = 100;          // streams listed at a time

struct Pass {
    BatchContext context;
    TimestampTz began_at;  // streams that become due later are left to the next pass
};
Pass pass;

bool time_is_up(int64 turn_end) { return monotonic_now() >= Min(turn_end, pass.context.end_at); }
bool stopped() { return pass.context.unavailable || pass.context.failed; }

RetentionPass read_pass() {
    SpinLockAcquire(&launcher_state->mutex);
    const RetentionPass found = launcher_state->retention_pass;
    SpinLockRelease(&launcher_state->mutex);
    return found;
}

template <typename Change>
void change_report(Change change) {
    SpinLockAcquire(&launcher_state->mutex);
    if (launcher_state->retention_pass.database == MyDatabaseId)  // a new launcher may have started another pass
        change(&launcher_state->retention_pass);
    SpinLockRelease(&launcher_state->mutex);
}

Enforced enforce_appended(int64 stream_id) {
    return is_due_in_time(stream_id) ? Enforced{0, 0, false, false, false} : enforce_limits(stream_id);
}

// First, so that none of them is found to be idle.
void run_touched() {
    int64 ids[kListed];
    int count;
    for (uint32 position = 0; take_touched(pass.context.slot, &position, ids, kListed, &count);) {
        const int done = work_on_streams(&pass.context, record_touch, ids, count, IfLeft::touch);
        for (int i = done; i < count; ++i)
            (void) queue_touch(pass.context.slot, ids[i]);
        if (done < count)
            break;
    }
}

void run_queue() {
    int64 ids[kListed];
    int count;
    change_report([](RetentionPass *report) { report->took_queue = true; });
    for (uint32 position = 0; take_for_retention(pass.context.slot, &position, ids, kListed, &count);) {
        const int done = work_on_streams(&pass.context, enforce_appended, ids, count, IfLeft::queue);
        for (int i = done; i < count; ++i)
            queue_for_retention(pass.context.slot, ids[i]);
        if (done < count) {
            pass.context.position.try_again = true;
            break;
        }
    }
    change_report([](RetentionPass *report) { report->took_queue = false; });
}

// A turn each. They return true when there is no more to do in this pass.

bool run_due(int64 turn_end) {
    PassPosition &at = pass.context.position;
    while (!time_is_up(turn_end)) {
        DueStream due[kListed];
        int64 ids[kListed];
        int n = 0;
        if (!in_batch(&pass.context, [&] { n = list_due(at.due_at, at.due_id, pass.began_at, due, kListed); }))
            return false;
        if (n == 0) {
            at.due_at = kPassStart.due_at;
            at.due_id = kPassStart.due_id;
            return true;
        }
        for (int i = 0; i < n; ++i)
            ids[i] = due[i].id;
        const int done = work_on_streams(&pass.context, enforce_limits, ids, n, IfLeft::nothing);
        if (done > 0) {
            at.due_at = due[done - 1].due_at;
            at.due_id = due[done - 1].id;
        }
        if (done < n)
            return false;
    }
    return false;
}

bool run_walk(int64 turn_end) {
    PassPosition &at = pass.context.position;
    if (at.walk == Walk::none) {
        at.walk = take_walk(pass.context.slot);
        at.walked_through = PG_INT64_MIN;
        // Nobody else knows of it any more. If this process dies, the next pass begins it again.
        change_report([](RetentionPass *report) {
            report->position.walk = pass.context.position.walk;
            report->position.walked_through = pass.context.position.walked_through;
        });
    }
    if (at.walk == Walk::none)
        return true;
    while (!time_is_up(turn_end)) {
        int64 ids[kListed];
        int n = 0;
        if (!in_batch(&pass.context, [&] { n = list_for_walk(at.walk, at.walked_through, ids, kListed); }))
            return false;
        if (n == 0) {
            at.walk = Walk::none;
            return true;
        }
        const int done = work_on_streams(&pass.context, at.walk == Walk::all ? enforce_limits : enforce_appended, ids,
                                         n, IfLeft::queue);
        if (done > 0)
            at.walked_through = ids[done - 1];
        if (done < n)
            return false;
    }
    return false;
}

bool run_purge(int64 turn_end) {
    int64 &after = pass.context.position.purged_through;
    while (!time_is_up(turn_end)) {
        int64 ids[kListed];
        int n = 0;
        if (!in_batch(&pass.context, [&] { n = list_unpurged(after, ids, kListed); }))
            return false;
        if (n == 0) {
            after = PG_INT64_MIN;
            return true;
        }
        const int done = work_on_streams(&pass.context, purge_stream, ids, n, IfLeft::nothing);
        if (done > 0)
            after = ids[done - 1];
        if (done < n)
            return false;
    }
    return false;
}

bool run_forget() {
    for (int64 forgotten = kPurgeBatch; forgotten >= kPurgeBatch;)
        if (time_is_up(kNever) ||
            !in_batch(&pass.context, [&] { forgotten = forget_tombstones(forget_deleted_after); }))
            return false;
    return true;
}

bool run_turns() {
    run_touched();
    run_queue();
    using Turn = bool (*)(int64 turn_end);
    constexpr Turn kTurns[] = {run_due, run_walk, run_purge};
    bool finished[lengthof(kTurns)] = {};
    for (bool all = false; !all;) {
        all = true;
        for (size_t i = 0; i < lengthof(kTurns); ++i) {
            if (stopped() || time_is_up(kNever))
                return false;
            finished[i] = finished[i] || kTurns[i](milliseconds_after(monotonic_now(), kTurn));
            all = all && finished[i];
        }
    }
    return !stopped() && run_forget();
}

// How long nothing will be due, in us. At the end of a pass that has finished; what earlier ones, which had not, left
// for later counts as well.
int64 next_in() {
    const int64 interval = retention_interval * USECS_PER_SEC;
    TimestampTz next = DT_NOEND;
    TimestampTz forget = DT_NOEND;
    if (!in_batch(&pass.context, [&] {
            next = next_due_after(pass.began_at);
            forget = next_to_forget(forget_deleted_after);
        }))
        return interval;
    const TimestampTz now = GetCurrentTimestamp();
    int64 pause = next < DT_NOEND ? Max(next - now, 0) : kNever;
    if (pass.context.position.try_again || pass.context.slot == nullptr)
        pause = Min(pause, interval);
    pass.context.position.try_again = false;
    if (forget < DT_NOEND)
        pause = Min(pause, Max(forget - now, interval));
    return pause;
}

}  // namespace

void run_retention_pass() {
    const RetentionPass begun = read_pass();
    pass = {{nullptr, begun.position, begun.failures, 0, false, false, BatchStart::not_installed},
            GetCurrentTimestamp()};
    pass.context.end_at = milliseconds_after(monotonic_now(), kLongestPass);

    PassResult result = PassResult::failed;
    const bool can_begin = in_batch(&pass.context, [] {
        pass.context.slot = attach_database_slot();
        if (pass.context.slot != nullptr)
            pg_atomic_write_u64(&pass.context.slot->retention_at, static_cast<uint64>(pass.began_at));
    });
    if (can_begin) {
        const bool finished = run_turns();
        const int64 pause = finished ? next_in() : 0;
        if (!pass.context.failed) {
            pass.context.failures.succeeded(core::Failures::kDatabase);
            result = finished                   ? PassResult::finished
                     : pass.context.unavailable ? PassResult::tables_locked
                                                : PassResult::unfinished;
        }
        change_report([&](RetentionPass *report) { report->next_in = pause; });
    } else if (!pass.context.failed)
        result =
            pass.context.start == BatchStart::not_installed ? PassResult::not_installed : PassResult::tables_locked;
    change_report([&](RetentionPass *report) {
        report->position = pass.context.position;
        report->failures = pass.context.failures;
        report->stream = 0;
        report->result = result;
    });
}

}  // namespace rill
