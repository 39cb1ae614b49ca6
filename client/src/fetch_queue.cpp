// See fetch_queue.hpp.
#include "fetch_queue.hpp"

#include <algorithm>
#include <utility>

namespace rill::detail {

FetchQueue::Queue &FetchQueue::queue_of(const Subscription &subscription) noexcept {
    if (!subscription.state.verified())
        return verify_;
    return subscription.state.only_polled() ? polled_ : plain_;
}

void FetchQueue::wake(Subscription &subscription, FetchReason reason) {
    const auto wake = subscription.state.wake(reason);
    if (wake == ReaderState::Wake::ignored)
        return;
    if (reason != kPoll)  // which announces nothing
        subscription.set_at_head(false);
    if (wake == ReaderState::Wake::queue)
        queue_of(subscription).readers.push_back(subscription.shared_from_this());
}

// The first that is not empty, or the one that has been passed over most often, if that is too often. One is not empty.
FetchQueue::Queue &FetchQueue::next_queue() noexcept {
    const std::array<Queue *, 3> queues{&verify_, &plain_, &polled_};
    Queue *next = nullptr;
    for (Queue *const queue : queues) {
        if (queue->readers.empty())
            queue->passed_over = 0;
        else if (next == nullptr || queue->passed_over >= std::max(kPatience, next->passed_over + 1))
            next = queue;
    }
    for (Queue *const queue : queues)
        queue->passed_over = queue == next || queue->readers.empty() ? 0 : queue->passed_over + 1;
    return *next;
}

void FetchQueue::take(Batch &batch, std::size_t limit) {
    do {
        batch.clear();
        ++batches_;
        if (empty())
            return;
        Queue &queue = next_queue();
        batch.verify = &queue == &verify_;
        take(batch, &queue == &polled_ ? std::min(limit, kSlice) : limit, queue);
    } while (batch.entries.empty());
}

void FetchQueue::take(Batch &batch, std::size_t limit, Queue &queue) {
    auto &readers = queue.readers;
    std::deque<std::shared_ptr<Subscription>> later;  // at another cursor of a stream that is in this batch
    while (!readers.empty()) {
        auto subscription = std::move(readers.front());
        readers.pop_front();
        const FollowedStream *const stream = subscription->state.stream();
        if (stream == nullptr)
            continue;  // removed while it was queued
        if (subscription->state.phase() != ReaderState::Phase::queued)
            continue;                                                 // it was queued a second time, and had its turn
        if (&queue != &verify_ && !subscription->state.verified()) {  // doubted while it was queued
            verify_.readers.push_back(std::move(subscription));
            continue;
        }
        if (add_to(batch, subscription, limit)) {
            subscription->state.take();
            continue;
        }
        const bool batch_is_full = stream->last_batch != batches_;
        later.push_back(std::move(subscription));
        if (batch_is_full)
            break;
    }
    for (; !later.empty(); later.pop_back())
        readers.push_front(std::move(later.back()));
}

bool FetchQueue::add_to(Batch &batch, const std::shared_ptr<Subscription> &subscription, std::size_t limit) {
    const ReaderState &state = subscription->state;
    FollowedStream &stream = *state.stream();
    const auto index = static_cast<std::uint32_t>(batch.waiters.size());
    const Position from = state.resuming() ? Position{state.cursor().id - 1, std::nullopt} : state.cursor();
    std::uint32_t next = Batch::kNone;
    if (stream.last_batch == batches_) {
        auto &entry = batch.entries[stream.entry];
        if (entry.from != from || entry.resuming != state.resuming())
            return false;
        next = std::exchange(entry.first, index);
    } else {
        if (batch.entries.size() >= limit)
            return false;
        stream.last_batch = batches_;
        stream.entry = static_cast<std::uint32_t>(batch.entries.size());
        batch.entries.push_back({&stream.name, from, state.resuming(), index});
    }
    batch.waiters.push_back({subscription, next});
    return true;
}

void FetchQueue::begin_waiting(Batch &batch) {
    batch.clear();
    batch.waiting = true;
    ++batches_;
}

void FetchQueue::add_waiting(Batch &batch, const FollowedStream &stream, std::size_t limit) {
    const auto may_wait = [](const ReaderState &state) {
        return state.phase() == ReaderState::Phase::idle && state.verified();
    };
    const ReaderState *last = nullptr;
    for (const auto &reader : stream.readers)
        if (may_wait(reader->state) && (last == nullptr || reader->state.cursor().id < last->cursor().id))
            last = &reader->state;
    if (last == nullptr)
        return;
    const Position cursor = last->cursor();
    for (const auto &reader : stream.readers)
        if (may_wait(reader->state) && reader->state.cursor() == cursor && add_to(batch, reader, limit))
            reader->state.take_waiting();
}

bool FetchQueue::finish(Subscription &subscription, bool more) {
    ReaderState &state = subscription.state;
    if (!state.in_query())
        return false;
    if (state.finish(more)) {
        queue_of(subscription).readers.push_back(subscription.shared_from_this());
        return false;
    }
    const bool was_at_head = subscription.at_head();
    subscription.set_at_head(true);
    return !was_at_head;
}

void FetchQueue::put_back(Batch &batch) {
    for (auto waiter = batch.waiters.rbegin(); waiter != batch.waiters.rend(); ++waiter)
        if (waiter->reader->state.put_back())
            queue_of(*waiter->reader).readers.push_front(std::move(waiter->reader));
    batch.clear();
}

void FetchQueue::clear() noexcept {
    verify_.readers.clear();
    plain_.readers.clear();
    polled_.readers.clear();
}

}  // namespace rill::detail
