// stream_producer_begin: an instance of a producer takes over. It is given an epoch above all earlier ones, and what
// was accepted before, in one step: from then on no append of an earlier epoch can be accepted, not even one that is
// already under way. So what it is told is final, and the instance knows which of its input it has to append (I10).
//
// The epoch is recorded as a row of sequence 0, under the append lock, where every append is judged: one that comes
// later finds the row (and waits for its transaction), one that came earlier is found, and waited for, here. Must
// survive: two instances that begin at once (two epochs), an answer that is lost (another call gives another epoch), a
// stream that does not exist yet, that is closed, or that is deleted meanwhile.
#include "base/boundary.hpp"
#include "base/errors.hpp"
#include "base/result_row.hpp"
#include "tables/append_lock.hpp"
#include "tables/catalog.hpp"
#include "tables/stream_rows.hpp"
#include "write/open_stream.hpp"
#include "write/producer_rows.hpp"

namespace rill {

namespace {

// Under the append lock.
Decision begin(int64 stream_id, const StreamName &producer, LastAppend *last, int64 *epoch) {
    const StreamFate fate = stream_fate(stream_id);
    if (TransactionIdIsValid(fate.undecided))
        return retry_after(fate.undecided);
    if (fate.deleted)
        return reopen_stream();
    return find_next_epoch(stream_id, producer, last, epoch);
}

}  // namespace

}  // namespace rill

// stream_producer_begin(stream text, producer text) returns (producer_epoch bigint, last_epoch bigint, last_seq bigint,
// chunk_id bigint)
RILL_FUNCTION(pg_rill_producer_begin) {
    using namespace rill;
    const StreamName name = stream_argument(fcinfo, 0);
    if (PG_ARGISNULL(1))
        refuse_null("producer");
    const StreamName producer = stream_name(PG_GETARG_TEXT_PP(1), "producer");
    require_writable("stream_producer_begin()");
    LastAppend last = {};
    int64 epoch = 0;
    int64 stream_id = 0;
    int64 deleted = 0;
    for (bool stored = false; !stored;) {
        stream_id = open_or_create(name, nullptr).id;
        if (stream_id == deleted)
            refuse_tombstone(name);
        // As an append: a table that is being rewritten or dropped holds up both.
        const Relation chunks = table_open(tables().chunk, RowExclusiveLock);
        // What users have added to the table runs before the lock, once if nobody else begins an epoch meanwhile. So
        // the row must be complete by then: with the epoch that is read here, or that the last try has found.
        if (LastAppend seen; last_append(stream_id, producer, SnapshotSelf, &seen) && seen.epoch < PG_INT64_MAX)
            epoch = Max(epoch, seen.epoch + 1);
        const Producer instance = {producer.data, producer.size, epoch, 0};
        ProducerRows rows;
        rows.prepare(stream_id, &instance, nullptr);
        (void) GetCurrentTransactionId();
        const AppendLock lock(stream_id);
        lock.acquire();
        const Decision decision = begin(stream_id, producer, &last, &epoch);
        if (decision.next == NextStep::store && epoch == instance.epoch)
            stored = rows.store(last.chunk_id);
        lock.release();
        rows.finish();
        table_close(chunks, NoLock);
        if (decision.next == NextStep::reopen)
            deleted = stream_id;
        if (decision.next == NextStep::wait)
            XactLockTableWait(decision.wait_for, nullptr, nullptr, XLTW_None);
        CHECK_FOR_INTERRUPTS();
    }
    prune_earlier_epochs(stream_id, producer, epoch, last);
    Datum values[4] = {Int64GetDatum(epoch), Int64GetDatum(last.epoch), Int64GetDatum(last.seq),
                       Int64GetDatum(last.chunk_id)};
    const bool none = last.seq == 0;
    bool nulls[4] = {false, none, none, none};
    return result_row(fcinfo, values, nulls);
}
