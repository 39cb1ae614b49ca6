// The steps of one append:
//
//   1. name -> stream id: this session's cache, or table stream, or a new row there (open_stream.cpp)
//   2. the caller's rights on that row (open_stream.cpp)
//   3. everything that needs no id is prepared (insert_chunks.cpp), users' defaults and BEFORE triggers included
//   4. the stream's append lock is taken; the producer and writer_seq are checked (producer.cpp); ids are reserved
//      (reserve_ids.cpp); heap row, then index entry, for each chunk (insert_chunks.cpp); the lock is released, long
//      before commit (I3)
//   5. what users have added is checked: constraints, indexes, AFTER triggers (user_additions.cpp)
//   6. a row of step 1 is removed again if nothing is stored, not even by a user's trigger
//   7. when the transaction ends, waiting readers are woken (wake/transaction_end.cpp)
//
// Why ids are in order (I2, I4): ids are reserved and rows physically inserted under one exclusive heavyweight lock for
// each stream, so row k is in heap, index and WAL before row k+1. It is a heavyweight lock, not an LWLock, because
// heap_insert can wait for relation locks (TOAST, extension): those waits must be cancellable and visible to the
// deadlock detector. Nothing else is waited for under it: where a check finds an undecided transaction, the lock is
// released, the transaction waited for, and the append starts again. So no transaction waits for another's commit. Rows
// that others store beside us, without the lock, are passed over: ours get ids above them.
// Must survive: an error anywhere between reserving an id and the index entry (a gap, no more), an undecided EOF or
// delete at the tail, a stream that is not in the id cache, no id cache at all, and a delete between steps 1 and 4.
#include "write/append.hpp"

#include "shmem/retention_queue.hpp"
#include "tables/append_lock.hpp"
#include "tables/catalog.hpp"
#include "tables/chunk_tail.hpp"
#include "wake/transaction_end.hpp"
#include "write/open_stream.hpp"
#include "write/producer_rows.hpp"
#include "write/reserve_ids.hpp"

namespace rill {

namespace {

// An append that is likely to store its chunks.
bool unconditional(const AppendRequest &request) {
    return request.expected == nullptr && request.producer == nullptr && request.writer_seq == nullptr &&
           request.chunks.count > 0 && !request.chunks.eof;
}

// Under the append lock. `skip`: see reserve_ids.hpp.
Decision judge(Relation chunks, int64 stream_id, const AppendRequest &request, int64 skip) {
    if (request.producer == nullptr && request.writer_seq == nullptr)
        return reserve_ids(chunks, stream_id, request, nullptr, skip);
    Decision decision = store_from(0);
    AppendOutcome last = {};
    if (request.producer != nullptr) {
        decision = check_producer(stream_id, *request.producer);
        last = decision.outcome;
    }
    if (decision.next == NextStep::store && request.writer_seq != nullptr)
        decision = check_writer_seq(stream_id, *request.writer_seq);
    const bool refused = decision.next == NextStep::answer;
    if (refused && decision.outcome.status < AppendStatus::closed)
        decision.outcome.closed = read_tail(chunks, stream_id).eof;
    else if (decision.next != NextStep::wait)
        decision = reserve_ids(chunks, stream_id, request, refused ? &decision.outcome : nullptr, skip);
    decision.outcome.producer_epoch = last.producer_epoch;
    decision.outcome.producer_seq = last.producer_seq;
    return decision;
}

// Under the append lock. False when others have stored rows with such keys: then nothing is stored.
bool store(ChunkInsert *insert, ProducerRows *producers, const AppendRequest &request, int64 first_id) {
    if (request.chunks.count == 0)
        return true;
    if (!insert->store(first_id))
        return false;
    if (producers->store(first_id + request.chunks.count - 1))
        return true;
    insert->remove();
    return false;
}

AppendOutcome stored(const AppendRequest &request, int64 last_id) {
    AppendOutcome outcome = {AppendStatus::stored, request.chunks.eof, last_id, 0, 0};
    if (request.producer != nullptr) {
        outcome.producer_epoch = request.producer->epoch;
        outcome.producer_seq = request.producer->seq;
    }
    return outcome;
}

}  // namespace

AppendOutcome append(const AppendRequest &request) {
    register_transaction_callbacks();
    bool created = false;
    int64 deleted = 0;
    ChunkInsert insert;
    ProducerRows producers;
    for (;;) {
        CachedStream *stream = open_for_append(request.stream, request.create_stream, &created);
        if (stream == nullptr) {
            producers.finish();
            insert.finish();
            return {AppendStatus::missing, false, 0, 0, 0};
        }
        const int64 stream_id = stream->id;
        if (stream_id == deleted)
            refuse_tombstone(request.stream);
        note_changed_stream(request.stream.key, stream_id, &stream->touched);
        if (insert.is_for_other(stream_id)) {  // deleted, and created again, while we waited
            producers.finish();
            insert.finish();
        }
        insert.prepare(stream_id, request.chunks);
        producers.prepare(stream_id, request.producer, request.writer_seq);
        // Otherwise heap_insert would assign it under the lock. An append that may store nothing does not need one.
        if (unconditional(request))
            (void) GetCurrentTransactionId();

        const AppendLock lock(stream_id);
        lock.acquire();
        Decision decision = judge(insert.chunks(), stream_id, request, kFreeIds);
        for (int64 skip = 0; decision.next == NextStep::store; skip = skip * 2 + 1) {
            if (store(&insert, &producers, request, decision.first_id))
                break;
            decision = judge(insert.chunks(), stream_id, request, skip);
        }
        const int64 last_id = decision.first_id + request.chunks.count - 1;
        // What was stored by a trigger that this append has fired is kept, and the stream with it.
        const bool stores = decision.next == NextStep::store && request.chunks.count > 0;
        if (created && !stores)
            created = highest_stored(insert.chunks(), stream_id).id == 0;
        lock.release();
        if (decision.limited)
            queue_for_retention(my_database_slot(), stream_id);
        if (decision.next == NextStep::store || decision.next == NextStep::answer) {
            producers.finish();
            insert.finish();
        }

        switch (decision.next) {
        case NextStep::store:
            if (stores) {
                if (request.producer != nullptr)
                    prune_producer(stream_id, *request.producer);
                if (request.writer_seq != nullptr)
                    prune_writer_seq(stream_id, last_id);
                return stored(request, last_id);
            }
            [[fallthrough]];
        case NextStep::answer:
            if (created)
                remove_created(request.stream, stream_id);
            return decision.outcome;
        case NextStep::wait:
            XactLockTableWait(decision.wait_for, nullptr, nullptr, XLTW_None);
            break;
        case NextStep::reopen:
            forget_stream(request.stream);
            deleted = stream_id;
            break;
        }
        CHECK_FOR_INTERRUPTS();
    }
}

}  // namespace rill
