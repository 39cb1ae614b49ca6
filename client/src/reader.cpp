// See rill/reader.hpp. The work is Subscription's.
#include "rill/reader.hpp"

#include "subscription.hpp"

#include <utility>

namespace rill {

Reader::Reader(std::shared_ptr<detail::Subscription> subscription) noexcept : subscription_(std::move(subscription)) {}

Reader &Reader::operator=(Reader &&other) noexcept {
    if (this != &other) {
        stop();
        subscription_ = std::move(other.subscription_);
    }
    return *this;
}

Reader::~Reader() { stop(); }

std::optional<Chunk> Reader::next() { return subscription_->next(nullptr); }

std::optional<Chunk> Reader::next(std::chrono::nanoseconds timeout) {
    const auto now = std::chrono::steady_clock::now();
    if (timeout > std::chrono::steady_clock::time_point::max() - now)
        return next();
    return next_until(now + timeout);
}

std::optional<Chunk> Reader::next_until(std::chrono::steady_clock::time_point deadline) {
    return subscription_->next(&deadline);
}

bool Reader::ended() const noexcept { return subscription_->ended(); }

Position Reader::position() const { return subscription_->position(); }

const std::string &Reader::stream() const noexcept { return subscription_->stream(); }

void Reader::stop() noexcept {
    if (subscription_ != nullptr)
        subscription_->stop();
}

bool Reader::stopped() const noexcept { return subscription_->stopped(); }

void Reader::on_ready(std::function<void()> ready) { subscription_->on_ready(std::move(ready)); }

}  // namespace rill
