// See registry.hpp.
#include "registry.hpp"

#include <utility>

namespace rill::detail {

void Registry::add(const std::shared_ptr<Subscription> &subscription) {
    auto found = topics_.find(subscription->stream());
    if (found == topics_.end()) {
        auto topic = std::make_unique<Topic>();
        topic->name = subscription->stream();
        without_id_.insert(topic.get());
        const std::string_view key = topic->name;
        found = topics_.emplace(key, std::move(topic)).first;
    }
    Topic &topic = *found->second;
    subscription->loop.topic = &topic;
    subscription->loop.slot = static_cast<std::uint32_t>(topic.followers.size());
    topic.followers.push_back(subscription);
    ++size_;
}

void Registry::remove(Subscription &subscription) {
    Topic *const topic = std::exchange(subscription.loop.topic, nullptr);
    subscription.loop.done = true;
    if (topic == nullptr)
        return;
    auto &followers = topic->followers;
    const std::uint32_t slot = subscription.loop.slot;
    const auto keep = std::move(followers[slot]);  // `subscription` may live by this alone
    if (slot + 1U < followers.size()) {
        followers[slot] = std::move(followers.back());
        followers[slot]->loop.slot = slot;
    }
    followers.pop_back();
    --size_;
    if (!followers.empty())
        return;
    without_id_.erase(topic);
    if (const auto found = by_id_.find(topic->stream_id); found != by_id_.end() && found->second == topic)
        by_id_.erase(found);
    topics_.erase(topics_.find(topic->name));
}

void Registry::wake(Subscription &subscription, Reason reason) {
    auto &side = subscription.loop;
    if (side.waiting && reason == kNotify)
        return;
    if (side.topic == nullptr || side.saturated)
        return;  // a full one is looked at when it has room again
    settled_ = false;
    side.reasons |= reason;
    if (side.in_flight) {
        side.again = true;
    } else if (!side.queued) {
        side.queued = true;
        queue_of(subscription).push_back(subscription.shared_from_this());
    }
}

void Registry::wake_all(Reason reason) {
    each([&](Subscription &subscription) { wake(subscription, reason); });
}

void Registry::wake_id(std::int64_t stream_id, Reason reason) {
    unannounced_.erase(stream_id);
    if (const auto found = by_id_.find(stream_id); found != by_id_.end()) {
        for (const auto &follower : found->second->followers)
            wake(*follower, reason);
        return;
    }
    const auto waits = [](const Topic *topic) {
        return std::ranges::all_of(topic->followers, [](const auto &follower) { return follower->loop.waiting; });
    };
    if (std::ranges::all_of(without_id_, waits) || (settled_ && foreign_.contains(stream_id)))
        return;
    if (foreign_.size() >= kMostForeign)
        foreign_.clear();
    foreign_.insert(stream_id);
    for (Topic *const topic : without_id_)
        for (const auto &follower : topic->followers)
            if (!follower->loop.waiting) {
                set_doubted(*follower);
                wake(*follower, reason);
            }
}

void Registry::learn_id(Topic &topic, std::int64_t stream_id) {
    if (topic.stream_id == stream_id)
        return;
    if (const auto found = by_id_.find(topic.stream_id); found != by_id_.end() && found->second == &topic)
        by_id_.erase(found);
    topic.stream_id = stream_id;
    if (stream_id == 0) {
        without_id_.insert(&topic);
    } else {
        without_id_.erase(&topic);
        by_id_[stream_id] = &topic;
    }
}

void Registry::start_over(Batch &void_batch) {
    for (const auto &rider : void_batch.riders)
        rider->loop.in_flight = rider->loop.waiting = rider->loop.again = false;
    void_batch.clear();
    for (Queue *const queue : {&verify_, &plain_}) {
        for (const auto &subscription : *queue)
            subscription->loop.queued = false;
        queue->clear();
    }
    ++connection_;
    foreign_.clear();
    wake_all(kCatchUp);
}

void Registry::take(Batch &batch, std::size_t limit) {
    batch.clear();
    batch.verify = !verify_.empty();
    ++batches_;
    Queue &queue = batch.verify ? verify_ : plain_;
    Queue later;  // at another cursor of a stream that is in this batch
    while (!queue.empty()) {
        auto subscription = std::move(queue.front());
        queue.pop_front();
        if (subscription->loop.topic == nullptr) {
            subscription->loop.queued = false;
        } else if (!board(batch, subscription, limit)) {
            const bool batch_is_full = subscription->loop.topic->batch != batches_;
            later.push_back(std::move(subscription));
            if (batch_is_full)
                break;
        }
    }
    for (; !later.empty(); later.pop_back())
        queue.push_front(std::move(later.back()));
}

bool Registry::board(Batch &batch, const std::shared_ptr<Subscription> &subscription, std::size_t limit) {
    auto &side = subscription->loop;
    Topic &topic = *side.topic;
    const auto seat = static_cast<std::uint32_t>(batch.riders.size());
    // Whoever resumes looks at the chunk under the cursor as well; see Follower.
    const Position from = side.resume ? Position{side.cursor.id - 1, std::nullopt} : side.cursor;
    if (topic.batch == batches_) {
        auto &entry = batch.entries[topic.entry];
        if (entry.from != from || entry.resume != side.resume)
            return false;
        side.next_rider = std::exchange(entry.first_rider, seat);
    } else {
        if (batch.entries.size() >= limit)
            return false;
        topic.batch = batches_;
        topic.entry = static_cast<std::uint32_t>(batch.entries.size());
        batch.entries.push_back({&topic.name, from, side.resume, seat});
        side.next_rider = Batch::kNone;
    }
    batch.riders.push_back(subscription);
    side.queued = side.again = false;
    side.in_flight = true;
    return true;
}

bool Registry::take_waiting(Batch &batch, std::size_t limit) {
    batch.clear();
    batch.waiting = true;
    ++batches_;
    const auto may_wait = [this](const Subscription &subscription) {
        const auto &side = subscription.loop;
        return !side.in_flight && !side.queued && !side.saturated && !side.resume && verified(subscription);
    };
    for (auto &[name, topic] : topics_) {
        const Subscription *last = nullptr;
        for (const auto &follower : topic->followers)
            if (may_wait(*follower) && (last == nullptr || follower->loop.cursor.id < last->loop.cursor.id))
                last = follower.get();
        for (const auto &follower : topic->followers)
            if (last != nullptr && may_wait(*follower) && follower->loop.cursor == last->loop.cursor &&
                board(batch, follower, limit)) {
                follower->loop.waiting = true;
                follower->loop.reasons |= kWait;
            }
    }
    return !batch.entries.empty();
}

void Registry::put_back(Batch &batch) {
    for (auto rider = batch.riders.rbegin(); rider != batch.riders.rend(); ++rider) {
        auto &side = (*rider)->loop;
        side.in_flight = side.waiting = side.again = false;
        if (side.topic == nullptr)
            continue;
        side.queued = true;
        queue_of(**rider).push_front(std::move(*rider));
    }
    batch.clear();
}

void Registry::landed(Subscription &subscription, bool more) {
    auto &side = subscription.loop;
    side.in_flight = side.waiting = false;
    const bool again = std::exchange(side.again, false);
    // It was woken for an id that may be its stream's, after the query had its snapshot.
    if (again && side.topic != nullptr && side.topic->stream_id == 0)
        set_doubted(subscription);
    if (side.topic == nullptr || side.saturated)
        return;
    if (!again && !more) {
        side.reasons = 0;
        return;
    }
    side.queued = true;
    queue_of(subscription).push_back(subscription.shared_from_this());
}

Topic *Registry::find(std::string_view name) noexcept {
    const auto found = topics_.find(name);
    return found == topics_.end() ? nullptr : found->second.get();
}

void Registry::found_by_poll(const Topic &topic, std::uint64_t chunks, TimePoint due) {
    auto &found = unannounced_[topic.stream_id];
    if (found.chunks == 0) {
        found.name = topic.name;
        found.chunks = chunks;
        found.due = due;
    } else {
        found.younger += chunks;
        found.younger_due = due;
    }
}

}  // namespace rill::detail
