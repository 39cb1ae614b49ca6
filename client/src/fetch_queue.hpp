// Which readers are to be fetched for next. There are three queues: readers whose cursor must be verified go first, and
// never share a query with the others, since the server verifies all cursors of a query or none. Readers that only
// the poll asks for go last, in slices: a chunk that was announced does not wait behind 100,000 quiet streams. But a
// queue that was passed over kPatience times has the next turn: a reader that is busy is queued again before each
// query, so the queues in front of it may never be empty.
//
// A wake-up for a queued reader changes nothing; one that arrives while its query is under way queues it again
// afterwards, since the query's snapshot may be older. Situations it must survive: readers that are removed while
// queued or while their query is under way, a batch that fails as a whole. Loop thread only.
#pragma once

#include "batch.hpp"
#include "followed_stream.hpp"
#include "reader_state.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>

namespace rill::detail {

class FetchQueue {
public:
    void wake(Subscription &subscription, FetchReason reason);

    [[nodiscard]] bool empty() const noexcept {
        return verify_.readers.empty() && plain_.readers.empty() && polled_.readers.empty();
    }
    // Takes at most `limit` streams of one queue, in the order in which they were queued; none only if all are empty.
    void take(Batch &batch, std::size_t limit);

    // A query that waits for news is built stream by stream. Of the readers of one stream those furthest behind wait:
    // with each answer they catch up with the others, until all have their turn.
    void begin_waiting(Batch &batch);
    void add_waiting(Batch &batch, const FollowedStream &stream, std::size_t limit);

    // The query is answered for this reader; `more`: there is more to fetch. True: it has now reached the head, and its
    // consumer is to be told.
    [[nodiscard]] bool finish(Subscription &subscription, bool more);
    // The batch failed as a whole: readers still waiting for it go back to the front, in their order.
    void put_back(Batch &batch);
    // Forgets what is queued; the caller resets the readers' states.
    void clear() noexcept;

private:
    struct Queue {
        std::deque<std::shared_ptr<Subscription>> readers;
        int passed_over = 0;  // in a row, while it was not empty
    };

    static constexpr std::size_t kSlice = 2'000;
    static constexpr int kPatience = 4;

    [[nodiscard]] Queue &next_queue() noexcept;
    void take(Batch &batch, std::size_t limit, Queue &queue);
    [[nodiscard]] Queue &queue_of(const Subscription &subscription) noexcept;
    [[nodiscard]] bool add_to(Batch &batch, const std::shared_ptr<Subscription> &subscription, std::size_t limit);

    Queue verify_;
    Queue plain_;
    Queue polled_;
    std::uint64_t batches_ = 0;
};

}  // namespace rill::detail
