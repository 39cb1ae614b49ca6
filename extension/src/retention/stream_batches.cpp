// See stream_batches.hpp.
// An error aborts the transaction, and with it what was done for the streams before: they have their turn again,
// without the one that failed. That one is reported once, and passed over until its pause has ended
// (core/failures.hpp). An error at the commit may be that of any stream that was worked on; if there are several, they
// are worked on one by one. A pause ends only when what had failed was tried again: a touch, or an append that makes
// nothing due sooner, is no success. Must survive: an error at each of the streams, rows locked by other sessions, and
// tables that cannot be locked.
#include "retention/stream_batches.hpp"

#include "base/monotonic_clock.hpp"
#include "base/settings.hpp"
#include "retention/retention_worker.hpp"
#include "shmem/retention_queue.hpp"

namespace rill {

namespace {

constexpr int64 kRowsAtOnce = 1000;  // removed in one transaction
constexpr int kStreamsAtOnce = 100;

struct Batch {
    BatchContext *context;
    Enforced (*work)(int64 id);
    const int64 *ids;
    int count;
    IfLeft left;
    int done;
    int begun;  // streams worked on, without those that are passed over
    int last;   // the place of the last of them
    bool committing;
    int64 chunks;
    int64 streams;
    bool tried[kStreamsAtOnce];  // and none of them failed, if this is committed
};

int64 first_pause() { return Max(retention_interval, 1) * USECS_PER_SEC; }

// If this process dies, the launcher passes over the stream.
void report_stream(int64 stream_id) {
    SpinLockAcquire(&launcher_state->mutex);
    if (launcher_state->retention_pass.database == MyDatabaseId)
        launcher_state->retention_pass.stream = stream_id;
    SpinLockRelease(&launcher_state->mutex);
}

extern "C" void rill_describe_stream(void *batch) {
    if (const auto *of = static_cast<Batch *>(batch); of->begun > 0)
        errcontext("while enforcing retention of the stream with stream_id " INT64_FORMAT, of->ids[of->last]);
}

void leave_for_later(const Batch &batch, int64 stream_id) {
    batch.context->position.try_again = true;
    switch (batch.left) {
    case IfLeft::nothing:
        break;
    case IfLeft::queue:
        queue_for_retention(batch.context->slot, stream_id);
        break;
    case IfLeft::touch:
        (void) queue_touch(batch.context->slot, stream_id);
    }
}

void run_batch(void *state) {
    auto *batch = static_cast<Batch *>(state);
    ErrorContextCallback context = {error_context_stack, rill_describe_stream, batch};
    error_context_stack = &context;
    if (begin_batch() == BatchStart::begun) {
        while (batch->done < batch->count && batch->chunks < kRowsAtOnce) {
            const int64 id = batch->ids[batch->done];
            const int64 now = monotonic_now();
            if (now >= batch->context->end_at || batch_time_is_up())
                break;
            if (batch->context->failures.pausing(id, now)) {
                leave_for_later(*batch, id);
                ++batch->done;
                continue;
            }
            ++batch->begun;
            batch->last = batch->done;
            report_stream(id);
            const Enforced enforced = batch->work(id);
            batch->tried[batch->done] = enforced.tried && !enforced.blocked;
            batch->chunks += enforced.chunks;
            batch->streams += enforced.streams;
            if (enforced.more)
                break;
            if (enforced.blocked)
                leave_for_later(*batch, id);
            ++batch->done;
        }
        batch->committing = true;
        commit_batch();
        report_stream(0);
    } else
        batch->context->unavailable = true;
    error_context_stack = context.previous;
}

// Whether a failed batch does not tell which stream it was.
bool unclear(const Batch &batch) { return batch.committing && batch.begun > 1; }

// Whether the error is to be reported: once for each stream, and not when it is not clear which one it is.
bool note_error(void *state) {
    auto *batch = static_cast<Batch *>(state);
    if (unclear(*batch))
        return false;
    const int64 stream = batch->begun > 0 ? batch->ids[batch->last] : core::Failures::kDatabase;
    if (batch->begun > 0)
        leave_for_later(*batch, stream);
    else
        batch->context->failed = true;
    return batch->context->failures.note(stream, monotonic_now(), first_pause());
}

void count_work(const Batch &batch) {
    for (int i = 0; i < batch.done; ++i)
        if (batch.tried[i])
            batch.context->failures.succeeded(batch.ids[i]);
    if (batch.context->slot == nullptr)
        return;
    pg_atomic_fetch_add_u64(&batch.context->slot->trimmed, batch.chunks);
    pg_atomic_fetch_add_u64(&batch.context->slot->deleted, batch.streams);
}

struct Body {
    BatchContext *context;
    void (*body)(void *state);
    void *state;
    bool done;
};

}  // namespace

int work_on_streams(BatchContext *context, Enforced (*work)(int64 id), const int64 *ids, int count, IfLeft left) {
    int at_once = kStreamsAtOnce;
    int failed = count;  // the stream at this place has failed: those before it first, and then those behind it
    int done = 0;
    while (done < count && monotonic_now() < context->end_at && !context->unavailable && !context->failed) {
        if (done == failed) {
            ++done;
            failed = count;
            continue;
        }
        Batch batch = {context, work, ids + done, Min(at_once, failed - done), left, 0, 0, 0, false, 0, 0, {}};
        if (attempt({run_batch, note_error, &batch})) {
            count_work(batch);
            done += batch.done;
        } else if (unclear(batch))
            at_once = 1;
        else
            failed = done + batch.last;
    }
    return done;
}

bool run_in_batch(BatchContext *context, void (*body)(void *state), void *state) {
    Body step = {context, body, state, false};
    (void) attempt({[](void *s) {
                        auto *self = static_cast<Body *>(s);
                        self->context->start = begin_batch();
                        if (self->context->start != BatchStart::begun) {
                            self->context->unavailable = true;
                            return;
                        }
                        self->body(self->state);
                        commit_batch();
                        self->done = true;
                    },
                    [](void *s) {
                        auto *self = static_cast<Body *>(s);
                        self->context->failed = true;
                        return self->context->failures.note(core::Failures::kDatabase, monotonic_now(), first_pause());
                    },
                    &step});
    return step.done;
}

}  // namespace rill
