// See rill/reader.hpp. The work is Subscription's.
#include "rill/reader.hpp"

#include "fork_guard.hpp"
#include "subscription.hpp"

#include <utility>

namespace rill {

namespace {

// What a Reader works with. A Reader that was moved from has nothing, and one in a forked child may use nothing.
detail::Subscription &usable(const std::shared_ptr<detail::Subscription> &subscription) {
    if (subscription == nullptr)
        throw Error("this rill reader was moved from", {.sqlstate = "55000", .kind = ErrorKind::usage});
    if (subscription->foreign())
        detail::throw_foreign();
    return *subscription;
}

}  // namespace

Reader::Reader(std::shared_ptr<detail::Subscription> subscription) noexcept : subscription_(std::move(subscription)) {}

Reader &Reader::operator=(Reader &&other) noexcept {
    if (this != &other) {
        const Reader old(std::exchange(subscription_, std::move(other.subscription_)));
    }
    return *this;
}

Reader::~Reader() {
    if (subscription_ != nullptr && subscription_->foreign())
        detail::abandon(std::move(subscription_));
    else
        stop();
}

std::optional<Chunk> Reader::next() { return usable(subscription_).next(nullptr); }

std::optional<Chunk> Reader::next(std::chrono::nanoseconds timeout) {
    const auto now = std::chrono::steady_clock::now();
    if (timeout > std::chrono::steady_clock::time_point::max() - now)
        return next();
    return next_until(now + timeout);
}

std::optional<Chunk> Reader::next_until(std::chrono::steady_clock::time_point deadline) {
    return usable(subscription_).next(&deadline);
}

std::optional<Chunk> Reader::next(const std::stop_token &token) { return usable(subscription_).next(nullptr, token); }

bool Reader::caught_up() const { return usable(subscription_).caught_up(); }

bool Reader::ended() const noexcept { return subscription_->ended(); }

Position Reader::position() const { return usable(subscription_).position(); }

const std::string &Reader::stream() const noexcept { return subscription_->stream(); }

void Reader::stop() noexcept {
    if (subscription_ != nullptr && !subscription_->foreign())
        subscription_->stop();
}

bool Reader::stopped() const noexcept { return subscription_->stopped(); }

void Reader::on_ready(std::function<void()> ready) { usable(subscription_).on_ready(std::move(ready)); }

}  // namespace rill
