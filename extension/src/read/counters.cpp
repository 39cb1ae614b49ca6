// The counters of a database, which view stream_stat shows: what its slot in shared memory counts, beside what the wait
// list and the id cache hold for it. A database without a slot (nobody ever listened or waited there, or all slots are
// taken) has null counters. What retention is behind with is counted in stream_state, by the index of due times: its
// cost is that of the streams that are overdue.
#include "base/boundary.hpp"
#include "base/pg_compat.hpp"
#include "base/result_row.hpp"
#include "shmem/database_slot.hpp"
#include "shmem/id_cache.hpp"
#include "shmem/wait_list.hpp"
#include "tables/catalog.hpp"
#include "tables/spi.hpp"

namespace rill {

namespace {

// The columns of stream_counters(), in the order of the install script.
enum CounterColumn : int {
    kListeners,
    kWaiters,
    kWakeups,
    kQueued,
    kCoalesced,
    kNotifies,
    kOverflows,
    kRescues,
    kWorkerPid,
    kNotifierState,
    kWorkerStartedAt,
    kCachedStreams,
    kTrimmedChunks,
    kDeletedStreams,
    kRetentionAt,
    kRetentionBacklog,
    kRetentionLag,
    kStatsSince,
    kCounterColumns
};

class CounterRow {
public:
    CounterRow() { std::fill_n(nulls_, +kCounterColumns, true); }
    void set(CounterColumn column, Datum value) {
        values_[column] = value;
        nulls_[column] = false;
    }
    void set(CounterColumn column, pg_atomic_uint64 *value) {
        set(column, Int64GetDatum(static_cast<int64>(pg_atomic_read_u64(value))));
    }
    Datum form(FunctionCallInfo fcinfo) const { return result_row(fcinfo, values_, nulls_); }

private:
    Datum values_[kCounterColumns] = {};
    bool nulls_[kCounterColumns];
};

const char *notifier_state_name(NotifierState state) {
    switch (state) {
    case NotifierState::running:
        return "running";
    case NotifierState::starting:
        return "starting";
    default:
        return "absent";
    }
}

void set_counters(CounterRow *row, DatabaseSlot *slot) {
    SpinLockAcquire(&slot->mutex);
    const NotifierState state = slot->notifier_state;
    const int pid = slot->notifier_pid;
    const TimestampTz started = slot->notifier_started_at;
    const TimestampTz since = slot->since;
    SpinLockRelease(&slot->mutex);

    row->set(kListeners, Int32GetDatum(static_cast<int32>(pg_atomic_read_u32(&slot->listeners))));
    row->set(kWakeups, &slot->wakeups);
    row->set(kQueued, &slot->queued);
    row->set(kCoalesced, &slot->coalesced);
    row->set(kNotifies, &slot->notifies);
    row->set(kOverflows, &slot->overflows);
    row->set(kRescues, &slot->rescues);
    row->set(kNotifierState, CStringGetTextDatum(notifier_state_name(state)));
    if (state == NotifierState::running) {
        row->set(kWorkerPid, Int32GetDatum(pid));
        row->set(kWorkerStartedAt, TimestampTzGetDatum(started));
    }
    row->set(kTrimmedChunks, &slot->trimmed);
    row->set(kDeletedStreams, &slot->deleted);
    if (pg_atomic_read_u64(&slot->retention_at) != 0)
        row->set(kRetentionAt, &slot->retention_at);
    row->set(kStatsSince, TimestampTzGetDatum(since));
}

void set_backlog(CounterRow *row) {
    const TimestampTz now = GetCurrentTimestamp();
    int64 overdue = 0;
    auto *lag = static_cast<Interval *>(palloc0(sizeof(Interval)));
    const OwnerScope owner(tables().state);
    (void) run_sql(psprintf("SELECT pg_catalog.count(*), pg_catalog.min(next_due) FROM ONLY %s"
                            " WHERE next_due OPERATOR(pg_catalog.<=) $1 AND pg_catalog.isfinite(next_due)",
                            qualified_table("stream_state")),
                   {{TIMESTAMPTZOID, TimestampTzGetDatum(now)}}, SPI_OK_SELECT, [&](const SqlRow &result) {
                       overdue = result.int8(1);
                       lag->time = overdue > 0 ? now - result.int8(2) : 0;
                   });
    owner.leave();
    row->set(kRetentionBacklog, Int64GetDatum(overdue));
    row->set(kRetentionLag, IntervalPGetDatum(lag));
}

}  // namespace

}  // namespace rill

// stream_counters() returns one row for the current database
RILL_FUNCTION(pg_rill_counters) {
    using namespace rill;
    require_shared("keep statistics");
    DatabaseSlot *slot = attach_database_slot();
    CounterRow row;
    row.set(kWaiters, Int32GetDatum(count_database_waiters(MyDatabaseId)));
    row.set(kCachedStreams, Int64GetDatum(cached_stream_count(MyDatabaseId)));
    set_backlog(&row);
    if (slot != nullptr)
        set_counters(&row, slot);
    else
        row.set(kNotifierState, CStringGetTextDatum("no slot"));
    return row.form(fcinfo);
}
