// See enforce_limits.hpp.
// When a stream is due next (next_due):
//
//   max_age                           when the oldest chunk expires, rounded up to a tenth of max_age or the interval
//   max_chunks, max_bytes             not before something is appended
//   delete_after_close                when the EOF is old enough; without EOF, not before something is appended
//   max_idle, expires_at              when the time has come
//   a chunk that is still undecided   after the interval, until it is decided
//
// Why no append is missed: the worker takes a stream out of the queue of appends, or learns of its due time, before it
// takes the snapshot of this transaction. A chunk that was stored before that is physically there, so it is counted, or
// it is undecided and the stream stays scheduled. One that is stored later is queued again (shmem/retention_queue.hpp).
//
// A stream is not counted from its beginning each time: its row keeps the counts of the chunks up to counted_through,
// the rest is counted here, and deleted chunks are subtracted. The row is written only when there is something to
// remove, many chunks were counted, or the schedule changes. Others may delete or truncate chunks, or restore the row
// without them; then it counts chunks that are not there, and new ones would be removed in their place. So when there
// are fewer ids left than chunks counted, the stream is counted again.
//
// Why nothing is done by limits that have been replaced: before the snapshot under which the row was judged ends, that
// version of the row is locked. If a session has changed it since, nothing is done, and the stream is judged again. An
// append to a stream that is deleted because it was idle changes no row: the delete itself checks for it.
// Must survive: limits set by hand to any value, chunks with any time, counts that are wrong, a wall clock that is set,
// and sessions that trim, delete or lock the stream meanwhile.
#include "retention/enforce_limits.hpp"

#include "base/settings.hpp"
#include "read/read_snapshot.hpp"
#include "retention/delete_stream.hpp"
#include "retention/remove_chunks.hpp"
#include "retention/stream_state.hpp"
#include "shmem/retention_queue.hpp"
#include "tables/catalog.hpp"
#include "tables/chunk_tail.hpp"
#include "tables/stream_rows.hpp"

namespace rill {

namespace {

constexpr int kRemovalBatch = 1000;    // chunks removed in one transaction
constexpr int kCountingBatch = 10000;  // chunks counted
constexpr int64 kSearchedForUndecided = 1000000;
constexpr int64 kLeastSlack = 100000;  // us

struct Verdict {
    bool over;      // the stream itself is to be deleted
    int64 idle_at;  // because it was idle: its highest id then; else PG_INT64_MAX
    int expired;
    int64 through;  // of the last expired chunk
    int64 counted;
    bool miscounted;
    StreamState state;
    TimestampTz due;  // DT_NOEND: nothing can become due
};

// However a limit got there, it must not leave the range of timestamps.
Datum bounded(const Interval *interval) {
    static const Interval most = {0, 0, kMostMonths};
    const Datum value = IntervalPGetDatum(interval);
    return DatumGetInt32(DirectFunctionCall2(interval_cmp, value, IntervalPGetDatum(&most))) > 0
               ? IntervalPGetDatum(&most)
               : value;
}

TimestampTz after(TimestampTz time, const Interval *interval) {
    if (TIMESTAMP_NOT_FINITE(time))
        return time;
    return DatumGetTimestampTz(
        DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(time), bounded(interval)));
}

TimestampTz before(TimestampTz time, const Interval *interval) {
    return DatumGetTimestampTz(
        DirectFunctionCall2(timestamptz_mi_interval, TimestampTzGetDatum(time), bounded(interval)));
}

void schedule(TimestampTz due, Verdict *verdict) { verdict->due = Min(verdict->due, due); }

int64 interval_us() { return Max(retention_interval, 1) * USECS_PER_SEC; }

// Streams with the same max_age become due together, so that one pass serves many, and one visit to a stream removes
// many chunks.
TimestampTz due_by_age(TimestampTz oldest, const Interval *max_age, TimestampTz now) {
    const TimestampTz exact = after(oldest, max_age);
    if (TIMESTAMP_NOT_FINITE(exact))
        return exact;
    const int64 slack = Min(Max((exact - oldest) / 10, kLeastSlack), interval_us());
    return Min(Max(exact, now + kLeastSlack), END_TIMESTAMP - 2 * slack) / slack * slack + slack;
}

// Whether the last chunks of the stream are decided: one that is not would be deleted with the stream, although it was
// appended in time. Not all of a long stream is searched: the worker has other streams to serve.
bool is_decided(ChunkScan &scan, const RetentionRow &row, int64 last_id) {
    scan.start(row.stream_id, Max(row.trimmed_through, last_id - kSearchedForUndecided));
    while (scan.next())
        CHECK_FOR_INTERRUPTS();
    return !scan.stopped();
}

// Whether the stream itself is to be deleted: it expired, was idle for too long, or was closed long enough ago.
bool is_over(ReadSnapshot &snapshot, const RetentionRow &row, TimestampTz created_at, TimestampTz now,
             Verdict *verdict) {
    if (row.expires_at <= now)
        return true;
    schedule(row.expires_at, verdict);
    if (row.delete_after_close == nullptr && row.max_idle == nullptr)
        return false;
    const Tail tail = read_tail(snapshot.chunks(), row.stream_id);
    TimestampTz end = DT_NOEND;
    if (row.delete_after_close != nullptr && tail.eof)
        end = after(tail.appended_at, row.delete_after_close);
    if (row.max_idle != nullptr) {
        const TimestampTz used = Max(Max(row.touched_at, created_at), tail.any ? tail.appended_at : DT_NOBEGIN);
        const TimestampTz idle = after(used, row.max_idle);
        if (idle <= now && end > now)
            verdict->idle_at = tail.any ? tail.id : 0;
        end = Min(end, idle);
    }
    if (end > now) {
        schedule(TransactionIdIsValid(tail.undecided) ? Min(end, now + interval_us()) : end, verdict);
        return false;
    }
    // A touch that could not be recorded yet is a use, too.
    if (!is_decided(snapshot.scan(), row, tail.id) ||
        (verdict->idle_at < PG_INT64_MAX && is_touch_queued(my_database_slot(), row.stream_id))) {
        verdict->idle_at = PG_INT64_MAX;
        schedule(now + interval_us(), verdict);
        return false;
    }
    return true;
}

// Counts data chunks behind counted_through, at most a batch.
void count_chunks(ChunkScan &scan, const RetentionRow &row, TimestampTz now, Verdict *verdict) {
    StreamState &state = verdict->state;
    scan.start(row.stream_id, state.counted_through);
    for (; verdict->counted < kCountingBatch && scan.next() && !scan.eof(); ++verdict->counted) {
        state.counted_through = scan.id();
        ++state.counted_chunks;
        state.counted_bytes += scan.size();
    }
    if (scan.stopped())
        schedule(now + interval_us(), verdict);
}

// Forgets what was counted: then nothing is removed before the stream has been counted from its beginning.
void count_again(const RetentionRow &row, Verdict *verdict) {
    verdict->miscounted = true;
    verdict->expired = 0;
    verdict->through = row.trimmed_through;
    verdict->state = {row.trimmed_through, row.trimmed_through, 0, 0};
}

// How many chunks at the beginning exceed the limits, at most a batch.
void find_expired(ChunkScan &scan, const RetentionRow &row, TimestampTz now, Verdict *verdict) {
    int64 chunks = verdict->state.counted_chunks;
    int64 bytes = verdict->state.counted_bytes;
    const TimestampTz keep_since = row.max_age != nullptr ? before(now, row.max_age) : DT_NOBEGIN;
    scan.start(row.stream_id, row.trimmed_through);
    for (; verdict->expired < kRemovalBatch && scan.next() && !scan.eof(); ++verdict->expired) {
        if (chunks < 0 || chunks > Max(verdict->state.counted_through - scan.id() + 1, 0)) {
            count_again(row, verdict);
            return;
        }
        if (scan.appended_at() >= keep_since && chunks <= row.max_chunks && bytes <= row.max_bytes) {
            if (row.max_age != nullptr)
                schedule(due_by_age(scan.appended_at(), row.max_age, now), verdict);
            return;
        }
        verdict->through = scan.id();
        if (verdict->through <= verdict->state.counted_through) {
            --chunks;
            bytes -= scan.size();
        }
    }
    if (scan.stopped())
        schedule(now + interval_us(), verdict);
}

Verdict judge(ReadSnapshot &snapshot, const RetentionRow &row, TimestampTz created_at, TimestampTz now) {
    Verdict verdict = {false, PG_INT64_MAX, 0, row.trimmed_through, 0, false, {}, DT_NOEND};
    verdict.state = {row.trimmed_through, Max(row.counted_through, row.trimmed_through), row.counted_chunks,
                     row.counted_bytes};
    verdict.over = is_over(snapshot, row, created_at, now, &verdict);
    if (verdict.over)
        return verdict;
    const bool sized = row.max_chunks < PG_INT64_MAX || row.max_bytes < PG_INT64_MAX;
    if (sized)
        count_chunks(snapshot.scan(), row, now, &verdict);
    if (sized || row.max_age != nullptr)
        find_expired(snapshot.scan(), row, now, &verdict);
    return verdict;
}

// Whether the schedule that is stored will do: it comes no later, and not at once.
bool scheduled(TimestampTz stored, TimestampTz due, TimestampTz now) {
    return stored == due || (stored > now && stored <= due && due < DT_NOEND);
}

// Under the lock on the row that was judged.
void remove_expired(const RetentionRow &row, const Verdict &verdict, TimestampTz now, Enforced *enforced) {
    StreamState state = verdict.state;
    TimestampTz due = enforced->more ? now : verdict.due;
    if (verdict.expired > 0) {
        const Removed removed =
            remove_chunks({row.stream_id, row.trimmed_through, verdict.through, false, false, state.counted_through});
        enforced->chunks = removed.chunks;
        enforced->blocked = removed.blocked;
        if (removed.cut) {
            enforced->more = true;
            due = now;
        }
        if (removed.blocked)
            due = now + interval_us();
        state.trimmed_through = removed.through;
        state.counted_through = Max(state.counted_through, removed.through);
        state.counted_chunks -= removed.counted;
        state.counted_bytes -= removed.counted_bytes;
    }
    store_schedule(row.stream_id, state, due);
}

}  // namespace

Enforced enforce_limits(int64 stream_id) {
    Enforced enforced = {0, 0, false, false, true};
    ReadSnapshot snapshot;
    snapshot.begin();
    RetentionRow row;
    if (!read_retention_row(stream_id, snapshot.snapshot(), &row) || row.deleted ||
        (!row.limited && TIMESTAMP_IS_NOEND(row.next_due))) {
        snapshot.end();
        return enforced;
    }
    const TimestampTz now = GetCurrentTimestamp();
    TimestampTz created_at;
    text *name = name_of_stream(stream_id, snapshot.snapshot(), &created_at);
    Verdict verdict = {false, PG_INT64_MAX, 0, 0, 0, false, {}, DT_NOEND};
    if (name != nullptr)
        verdict = judge(snapshot, row, created_at, now);
    else  // limits of a stream that does not exist
        verdict.state = {row.trimmed_through, row.counted_through, row.counted_chunks, row.counted_bytes};
    enforced.more = verdict.counted == kCountingBatch || verdict.expired == kRemovalBatch || verdict.miscounted;
    const bool change =
        verdict.over || verdict.expired > 0 || enforced.more || !scheduled(row.next_due, verdict.due, now);
    enforced.blocked = change && !try_lock_row(tables().state, tables().state_pkey, stream_id, LockTupleNoKeyExclusive,
                                               snapshot.snapshot());
    snapshot.end();
    if (change && !enforced.blocked) {
        if (verdict.over) {
            enforced.streams = delete_stream(stream_name(name, "stream"), stream_id, false, verdict.idle_at) ? 1 : 0;
            enforced.blocked = enforced.streams == 0;
        } else
            remove_expired(row, verdict, now, &enforced);
    }
    enforced.more = enforced.more && !enforced.blocked;
    return enforced;
}

// Appended chunks may exceed a size, or be an EOF. They expire later than those before them, but the stream may be
// scheduled for another limit.
bool is_due_in_time(int64 stream_id) {
    const Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
    RetentionRow row;
    const bool found = read_retention_row(stream_id, snapshot, &row);
    UnregisterSnapshot(snapshot);
    if (!found || row.deleted || TIMESTAMP_IS_NOEND(row.next_due))
        return false;
    const TimestampTz now = GetCurrentTimestamp();
    if (row.next_due <= now)
        return true;
    if (row.max_chunks < PG_INT64_MAX || row.max_bytes < PG_INT64_MAX || row.delete_after_close != nullptr)
        return false;
    return row.max_age == nullptr || row.next_due <= due_by_age(now, row.max_age, now);
}

}  // namespace rill
