// See subscription.hpp.
#include "subscription.hpp"

#include "clock.hpp"
#include "mailbox.hpp"

#include <utility>

namespace rill::detail {

Subscription::Subscription(std::string stream, Position start, std::shared_ptr<Mailbox> mailbox, Bounds bounds)
    : stream_(std::move(stream)), mailbox_(std::move(mailbox)), bounds_(bounds), position_(start) {
    loop.cursor = start;
    loop.resume = start.id > 0;
}

std::optional<Chunk> Subscription::next(const std::chrono::steady_clock::time_point *deadline) {
    for (;;) {
        const State seen = state_.load(std::memory_order_acquire);
        if (seen == State::stopped || ended()) {
            page_ = {};
            decoder_ = {};
            return std::nullopt;
        }
        if (seen == State::closed) {
            page_ = {};
            throw Closed();
        }
        if (page_.bytes != nullptr) {
            if (auto chunk = decode())
                return chunk;
            if (page_.bytes != nullptr)
                continue;  // the end of the stream
        }
        bool has_room = false;
        {
            std::unique_lock lock(mutex_);
            in_hand_ = false;
            const auto something = [&] {
                return !pages_.empty() || state_.load(std::memory_order_relaxed) != State::open;
            };
            if (deadline == nullptr)
                arrived_.wait(lock, something);
            else if (!something() && !arrived_.wait_until(lock, *deadline, something))
                return std::nullopt;
            const State state = state_.load(std::memory_order_relaxed);
            if (state == State::stopped || state == State::closed)
                continue;
            if (pages_.empty())
                throw *error_;
            page_ = std::move(pages_.front());
            pages_.pop_front();
            in_hand_ = true;
            buffered_chunks_ -= page_.chunks;
            buffered_bytes_ -= page_.cost();
            has_room = was_full_ && !over(2);
            if (has_room)
                was_full_ = false;
        }
        decoder_ = PageReader(page_.span());
        if (has_room)
            mailbox_->post(shared_from_this());
    }
}

// The next chunk of the page in hand. Nothing when the page is used up (it is dropped) or the stream has ended.
std::optional<Chunk> Subscription::decode() {
    PageChunk raw;
    while (decoder_.next(raw) == PageReader::Step::chunk) {
        const bool seen_before = raw.id <= position_.id;
        if (!seen_before)
            position_ = {raw.id, raw.epoch};
        else if (raw.id == position_.id)
            position_.epoch = raw.epoch;
        if (raw.eof)
            ended_.store(true, std::memory_order_release);
        if (seen_before || (raw.eof && raw.data.empty()))
            continue;
        Chunk chunk;
        chunk.id = raw.id;
        chunk.data = raw.data;
        chunk.appended_at = from_server_time(raw.appended_at);
        chunk.epoch = raw.epoch;
        chunk.eof = raw.eof;
        chunk.keep(page_.bytes);
        return chunk;
    }
    if (!ended())
        page_ = {};
    return std::nullopt;
}

void Subscription::stop() noexcept {
    end(State::stopped);
    mailbox_->post(shared_from_this());
}

void Subscription::client_closed() noexcept {
    end(State::closed);
    std::atomic<std::uint64_t> nobody_counts{0};
    poke(nobody_counts);
}

void Subscription::end(State state) noexcept {
    std::list<Page> dropped;
    {
        const std::scoped_lock lock(mutex_);
        if (state_.load(std::memory_order_relaxed) == State::stopped)
            return;
        state_.store(state, std::memory_order_release);
        dropped.swap(pages_);
        buffered_chunks_ = buffered_bytes_ = 0;
    }
    arrived_.notify_all();
}

bool Subscription::deliver(Page page) {
    {
        const std::scoped_lock lock(mutex_);
        if (state_.load(std::memory_order_relaxed) != State::open)
            return false;
        buffered_chunks_ += page.chunks;
        buffered_bytes_ += page.cost();
        pages_.push_back(std::move(page));
        was_full_ = was_full_ || over(1);
    }
    arrived_.notify_all();
    return true;
}

bool Subscription::over(std::size_t part) const noexcept {
    return buffered_chunks_ >= bounds_.chunks / part + (part > 1) ||
           buffered_bytes_ >= bounds_.bytes / part + (part > 1);
}

bool Subscription::full() {
    const std::scoped_lock lock(mutex_);
    return was_full_;
}

void Subscription::fail(const Error &error) {
    {
        auto copy = std::make_unique<const Error>(error);
        const std::scoped_lock lock(mutex_);
        if (state_.load(std::memory_order_relaxed) != State::open)
            return;
        error_ = std::move(copy);
        state_.store(State::failed, std::memory_order_release);
    }
    arrived_.notify_all();
}

void Subscription::on_ready(std::function<void()> ready) {
    auto shared = ready ? std::make_shared<const std::function<void()>>(std::move(ready)) : nullptr;
    {
        const std::scoped_lock lock(mutex_);
        ready_ = std::move(shared);
    }
    mailbox_->post(shared_from_this());
}

void Subscription::poke(std::atomic<std::uint64_t> &callback_errors) {
    std::shared_ptr<const std::function<void()>> ready;
    {
        const std::scoped_lock lock(mutex_);
        const bool nothing = pages_.empty() && !in_hand_ && state_.load(std::memory_order_relaxed) == State::open;
        if (ready_ == nullptr || nothing)
            return;
        ready = ready_;
    }
    try {
        (*ready)();
    } catch (...) {
        callback_errors.fetch_add(1, std::memory_order_relaxed);
    }
}

}  // namespace rill::detail
