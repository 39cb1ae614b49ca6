// The steps of one append:
//
//   1. name -> stream id: this session's cache, or table stream, or a new row there (open_stream.cpp)
//   2. the caller's rights on that row (open_stream.cpp)
//   3. everything that needs no id is prepared (insert_chunks.cpp)
//   4. the stream's append lock is taken; the producer is checked (producer.cpp); ids are reserved (reserve_ids.cpp);
//      heap row, then index entry, for each chunk (insert_chunks.cpp); the lock is released, long before commit (I3)
//   5. when the transaction ends, waiting readers are woken (wake/transaction_end.cpp)
//
// Why ids are in order (I2, I4): ids are reserved and rows physically inserted under one exclusive heavyweight lock for
// each stream, so row k is in heap, index and WAL before row k+1. It is a heavyweight lock, not an LWLock, because
// heap_insert can wait for relation locks (TOAST, extension): those waits must be cancellable and visible to the
// deadlock detector. Nothing else is waited for under it: where a check finds an undecided transaction, the lock is
// released, the transaction waited for, and the append starts again. So no transaction waits for another's commit.
// Must survive: an error anywhere between reserving an id and the index entry (a gap, no more), an undecided EOF or
// delete at the tail, a stream that is not in the id cache, no id cache at all, and a delete between steps 1 and 4.
#include "write/append.hpp"

#include "tables/append_lock.hpp"
#include "tables/catalog.hpp"
#include "wake/transaction_end.hpp"
#include "write/open_stream.hpp"
#include "write/reserve_ids.hpp"

namespace rill {

AppendOutcome append(const AppendRequest &request) {
    register_transaction_callbacks();
    for (;;) {
        CachedStream *stream = open_for_append(request.stream);
        const int64 stream_id = stream->id;
        note_changed_stream(request.stream.key, stream_id, &stream->touched);
        const Relation chunks = table_open(tables().chunk, RowExclusiveLock);
        ChunkInsert insert;
        insert.prepare(chunks, stream_id, request.chunks);
        // Otherwise heap_insert would assign it under the lock. An append that is likely to store nothing does not need
        // one.
        if (request.expected == nullptr && request.producer == nullptr && !request.chunks.eof)
            (void) GetCurrentTransactionId();

        const AppendLock lock(stream_id);
        Decision decision = store_from(0);
        lock.acquire();
        if (request.producer != nullptr)
            decision = check_producer(stream_id, *request.producer);
        if (decision.next == NextStep::store)
            decision = reserve_ids(chunks, stream_id, request);
        const int64 last_id = decision.first_id + request.chunks.count - 1;
        if (decision.next == NextStep::store) {
            insert.store(decision.first_id);
            if (request.producer != nullptr)
                record_producer(stream_id, *request.producer, last_id);
        }
        lock.release();
        insert.finish();
        table_close(chunks, NoLock);

        switch (decision.next) {
        case NextStep::store:
            if (request.producer != nullptr)
                prune_producer(stream_id, *request.producer);
            return {AppendStatus::stored, last_id, 0, 0};
        case NextStep::answer:
            return decision.outcome;
        case NextStep::wait:
            XactLockTableWait(decision.wait_for, nullptr, nullptr, XLTW_None);
            break;
        case NextStep::reopen:
            forget_stream(request.stream);
            break;
        }
        CHECK_FOR_INTERRUPTS();
    }
}

}  // namespace rill
