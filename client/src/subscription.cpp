// See subscription.hpp.
#include "subscription.hpp"

#include "mailbox.hpp"
#include "server_time.hpp"

#include <utility>

namespace rill::detail {

Subscription::Subscription(std::string stream, Position start, std::shared_ptr<Mailbox> mailbox, BufferLimits limits,
                           LeftOut left_out)
    : state(start), stream_(std::move(stream)), mailbox_(std::move(mailbox)), limits_(limits), position_(start),
      left_out_(left_out) {}

std::optional<Chunk> Subscription::next(const std::chrono::steady_clock::time_point *deadline,
                                        const std::stop_token &token) {
    // Taking the mutex first: else the request could come between the consumer's check and its wait.
    const std::stop_callback stop_requested(token, [this] {
        { const std::scoped_lock lock(mutex_); }
        arrived_.notify_all();
    });
    for (;;) {
        const Outcome seen = outcome_.load(std::memory_order_acquire);
        if (seen == Outcome::stopped || ended()) {
            page_ = {};
            decoder_ = {};
            return std::nullopt;
        }
        if (seen == Outcome::closed) {
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
            page_taken_ = false;
            const auto has_news = [&] {
                return !pages_.empty() || outcome_.load(std::memory_order_relaxed) != Outcome::open;
            };
            if (deadline == nullptr) {
                arrived_.wait(lock, [&] { return has_news() || token.stop_requested(); });
                if (!has_news())
                    return std::nullopt;
            } else if (!has_news() && !arrived_.wait_until(lock, *deadline, has_news)) {
                return std::nullopt;
            }
            const Outcome outcome = outcome_.load(std::memory_order_relaxed);
            if (outcome == Outcome::stopped || outcome == Outcome::closed)
                continue;
            if (pages_.empty())
                throw *error_;
            page_ = std::move(pages_.front());
            pages_.pop_front();
            page_taken_ = true;
            buffered_chunks_ -= page_.chunks;
            buffered_bytes_ -= page_.cost();
            has_room = full_ && !over(2);
            if (has_room)
                full_ = false;
        }
        decoder_ = PageReader(page_.span());
        if (has_room)
            mailbox_->post(shared_from_this());
    }
}

// The next chunk of the consumer's page. Nothing when the page is used up (it is dropped) or the stream has ended.
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
        // The cursor has moved already, whatever is left out (F12).
        if (seen_before || (raw.eof && raw.data.empty()) || leaves_out(raw))
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

bool Subscription::leaves_out(const PageChunk &chunk) noexcept {
    if (chunk.eof)
        return false;
    if (left_out_.chunks > 0) {
        --left_out_.chunks;
        return true;
    }
    if (chunk.appended_at < left_out_.before)
        return true;
    left_out_ = {};
    return false;
}

bool Subscription::caught_up() {
    if (ended())
        return true;
    if (!at_head() || decoder_.left() > 0)
        return false;
    const std::scoped_lock lock(mutex_);
    return pages_.empty();
}

void Subscription::stop() noexcept {
    finish(Outcome::stopped);
    mailbox_->post(shared_from_this());
}

bool Subscription::foreign() const noexcept { return mailbox_->foreign(); }

void Subscription::client_closed() noexcept {
    finish(Outcome::closed);
    std::atomic<std::uint64_t> not_counted{0};
    notify_ready(not_counted);
}

void Subscription::finish(Outcome outcome) noexcept {
    std::list<Page> dropped;
    {
        const std::scoped_lock lock(mutex_);
        const Outcome before = outcome_.load(std::memory_order_relaxed);
        if (before == Outcome::stopped || (before == Outcome::failed && outcome == Outcome::closed))
            return;  // a reader that has failed goes on to throw the same error
        outcome_.store(outcome, std::memory_order_release);
        dropped.swap(pages_);
        buffered_chunks_ = buffered_bytes_ = 0;
    }
    arrived_.notify_all();
}

bool Subscription::deliver(Page page) {
    {
        const std::scoped_lock lock(mutex_);
        if (outcome_.load(std::memory_order_relaxed) != Outcome::open)
            return false;
        buffered_chunks_ += page.chunks;
        buffered_bytes_ += page.cost();
        pages_.push_back(std::move(page));
        full_ = full_ || over(1);
    }
    arrived_.notify_all();
    return true;
}

// Whether the buffer holds as much as its limits divided by `part`; more than that if `part` is above 1.
bool Subscription::over(std::size_t part) const noexcept {
    return buffered_chunks_ >= limits_.chunks / part + (part > 1) ||
           buffered_bytes_ >= limits_.bytes / part + (part > 1);
}

bool Subscription::full() {
    const std::scoped_lock lock(mutex_);
    return full_;
}

void Subscription::fail(const Error &error) {
    {
        auto copy = std::make_unique<const Error>(error);
        const std::scoped_lock lock(mutex_);
        if (outcome_.load(std::memory_order_relaxed) != Outcome::open)
            return;
        error_ = std::move(copy);
        outcome_.store(Outcome::failed, std::memory_order_release);
    }
    arrived_.notify_all();
}

void Subscription::on_ready(std::function<void()> ready) {
    auto shared = ready ? std::make_shared<const std::function<void()>>(std::move(ready)) : nullptr;
    {
        const std::scoped_lock lock(mutex_);
        ready_ = std::move(shared);
    }
    if (mailbox_->post(shared_from_this()))
        return;
    std::atomic<std::uint64_t> not_counted{0};
    notify_ready(not_counted);
}

void Subscription::notify_ready(std::atomic<std::uint64_t> &callback_errors) {
    std::shared_ptr<const std::function<void()>> ready;
    {
        const std::scoped_lock lock(mutex_);
        const bool nothing =
            pages_.empty() && !page_taken_ && !at_head() && outcome_.load(std::memory_order_relaxed) == Outcome::open;
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
