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
        queue_of(subscription).push_back(subscription.shared_from_this());
}

void FetchQueue::take(Batch &batch, std::size_t limit) {
    do {
        batch.clear();
        batch.verify = !verify_.empty();
        ++batches_;
        if (batch.verify)
            take(batch, limit, verify_);
        else if (!plain_.empty())
            take(batch, limit, plain_);
        else
            take(batch, std::min(limit, kSlice), polled_);
    } while (batch.entries.empty() && !empty());
}

void FetchQueue::take(Batch &batch, std::size_t limit, Queue &queue) {
    Queue later;  // at another cursor of a stream that is in this batch
    while (!queue.empty()) {
        auto subscription = std::move(queue.front());
        queue.pop_front();
        const FollowedStream *const stream = subscription->state.stream();
        if (stream == nullptr)
            continue;  // removed while it was queued
        if (subscription->state.phase() != ReaderState::Phase::queued)
            continue;  // it was queued a second time, and had its turn
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
        queue.push_front(std::move(later.back()));
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
        queue_of(subscription).push_back(subscription.shared_from_this());
        return false;
    }
    const bool was_at_head = subscription.at_head();
    subscription.set_at_head(true);
    return !was_at_head;
}

void FetchQueue::put_back(Batch &batch) {
    for (auto waiter = batch.waiters.rbegin(); waiter != batch.waiters.rend(); ++waiter)
        if (waiter->reader->state.put_back())
            queue_of(*waiter->reader).push_front(std::move(waiter->reader));
    batch.clear();
}

void FetchQueue::clear() noexcept {
    verify_.clear();
    plain_.clear();
    polled_.clear();
}

}  // namespace rill::detail
