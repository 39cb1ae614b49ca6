// See registry.hpp.
#include "registry.hpp"

#include <algorithm>
#include <utility>

namespace rill::detail {

void Registry::add(const std::shared_ptr<Subscription> &subscription) {
    auto found = streams_.find(subscription->stream());
    if (found == streams_.end()) {
        auto stream = std::make_unique<FollowedStream>();
        stream->name = subscription->stream();
        without_id_.insert(stream.get());
        const std::string_view key = stream->name;
        found = streams_.emplace(key, std::move(stream)).first;
    }
    FollowedStream &stream = *found->second;
    subscription->state.join(stream, static_cast<std::uint32_t>(stream.readers.size()));
    stream.readers.push_back(subscription);
    ++size_;
}

void Registry::remove(Subscription &subscription) {
    FollowedStream *const stream = subscription.state.stream();
    waiting_reader_removed_ = waiting_reader_removed_ || subscription.state.waiting();
    subscription.state.leave();
    if (stream == nullptr)
        return;
    auto &readers = stream->readers;
    const std::uint32_t index = subscription.state.index();
    const auto keep = std::move(readers[index]);  // `subscription` may live by this alone
    if (index + 1U < readers.size()) {
        readers[index] = std::move(readers.back());
        readers[index]->state.set_index(index);
    }
    readers.pop_back();
    --size_;
    if (!readers.empty())
        return;
    without_id_.erase(stream);
    if (const auto found = by_id_.find(stream->id); found != by_id_.end() && found->second == stream)
        by_id_.erase(found);
    streams_.erase(streams_.find(stream->name));
}

void Registry::wake_all(FetchReason reason) {
    each([&](Subscription &subscription) { queue_.wake(subscription, reason); });
}

void Registry::wake_id(std::int64_t stream_id, FetchReason reason) {
    if (const auto found = by_id_.find(stream_id); found != by_id_.end()) {
        for (const auto &reader : found->second->readers)
            queue_.wake(*reader, reason);
        return;
    }
    // A query that waits in the server also waits for streams to be created.
    const auto all_wait = [](const FollowedStream *stream) {
        return std::ranges::all_of(stream->readers, [](const auto &reader) { return reader->state.waiting(); });
    };
    if (unfollowed_.contains(stream_id) || std::ranges::all_of(without_id_, all_wait))
        return;
    if (unknown_.size() >= kMaxIds) {  // so much that fetching for all of them is no more work
        unknown_.clear();
        doubt_without_id(reason);
        return;
    }
    unknown_.insert(stream_id);
}

void Registry::doubt_without_id(FetchReason reason) {
    for (const FollowedStream *const stream : without_id_)
        for (const auto &reader : stream->readers) {
            reader->state.doubt();
            queue_.wake(*reader, reason);
        }
}

std::vector<std::int64_t> Registry::take_unknown_ids() {
    if (unfollowed_.size() + unknown_.size() > kMaxIds)
        unfollowed_.clear();
    unfollowed_.insert(unknown_.begin(), unknown_.end());
    std::vector<std::int64_t> ids(unknown_.begin(), unknown_.end());
    unknown_.clear();
    return ids;
}

void Registry::named(std::int64_t stream_id, std::string_view name, FetchReason reason) {
    FollowedStream *const stream = find(name);
    if (stream == nullptr)
        return;
    set_id(*stream, stream_id);
    for (const auto &reader : stream->readers)
        queue_.wake(*reader, reason);
}

void Registry::set_id(FollowedStream &stream, std::int64_t stream_id) {
    if (stream.id == stream_id)
        return;
    if (const auto found = by_id_.find(stream.id); found != by_id_.end() && found->second == &stream)
        by_id_.erase(found);
    stream.id = stream_id;
    if (stream_id == 0) {
        without_id_.insert(&stream);
    } else {
        without_id_.erase(&stream);
        by_id_[stream_id] = &stream;
    }
}

FollowedStream *Registry::find(std::string_view name) noexcept {
    const auto found = streams_.find(name);
    return found == streams_.end() ? nullptr : found->second.get();
}

void Registry::start_over(Batch &void_batch) {
    void_batch.clear();
    queue_.clear();
    unknown_.clear();
    unfollowed_.clear();
    waiting_reader_removed_ = false;
    each([](Subscription &subscription) { subscription.state.reset(); });
    wake_all(kCatchUp);
}

bool Registry::take_waiting(Batch &batch, std::size_t limit) {
    queue_.begin_waiting(batch);
    for (const auto &[name, stream] : streams_)
        queue_.add_waiting(batch, *stream, limit);
    if (batch.entries.empty())
        return false;
    waiting_reader_removed_ = false;
    return true;
}

}  // namespace rill::detail
