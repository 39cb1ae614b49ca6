// See loop.hpp.
#include "loop.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <system_error>
#include <vector>

#include <poll.h>

namespace rill::detail {
namespace {

int poll_timeout(TimePoint wake_at, TimePoint now) {
    if (wake_at == TimePoint::max())
        return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(wake_at - now);
    return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
}

}  // namespace

Loop::Loop(const ConnectPlan &plan, const Options &options, std::shared_ptr<Mailbox> mailbox, Counters &counters)
    : options_(options), mailbox_(std::move(mailbox)), counters_(counters), teller_(options.on_event, counters),
      listener_(Link(plan, "listen", Backoff(options.reconnect_min, options.reconnect_max), options.response_timeout),
                registry_, counters, teller_),
      follower_(Link(plan, "read", Backoff(options.reconnect_min, options.reconnect_max), options.response_timeout),
                options, registry_, counters, teller_) {}

void Loop::run(std::promise<void> connected) noexcept {
    bool promised = false;
    try {
        if (options_.poll_interval.count() > 0)
            poll_at_ = Clock::now() + options_.poll_interval;
        while (!mailbox_->stop_requested()) {
            turn();
            if (promised)
                continue;
            if (follower_.link().ever_connected()) {
                promised = true;
                connected.set_value();
            } else if (follower_.failed_to_connect()) {
                promised = true;
                connected.set_exception(std::make_exception_ptr(follower_.link().loss()));
                break;
            }
        }
        if (!promised)
            connected.set_exception(std::make_exception_ptr(Closed()));
    } catch (const std::exception &error) {
        const Error told(std::string("the background thread of the rill client failed: ") + error.what());
        if (!promised)
            connected.set_exception(std::make_exception_ptr(told));
        fail_all(told);
    }
    close_all();
    counters_.reading.store(false, std::memory_order_relaxed);
    counters_.listening.store(false, std::memory_order_relaxed);
    counters_.readers.store(0, std::memory_order_relaxed);
}

void Loop::turn() {
    const Link &listen = listener_.link();
    const Link &read = follower_.link();
    std::array<pollfd, 3> fds{
        {{mailbox_->wake().get(), POLLIN, 0}, {listen.fd(), listen.events(), 0}, {read.fd(), read.events(), 0}}};
    const TimePoint wake_at = std::min({listener_.wake_at(), follower_.wake_at(), poll_at_});
    if (::poll(fds.data(), fds.size(), poll_timeout(wake_at, Clock::now())) < 0) {
        if (errno != EINTR)
            throw std::system_error(errno, std::generic_category(), "poll");
        for (auto &fd : fds)
            fd.revents = 0;
    }
    if (fds[0].revents != 0) {
        mailbox_->wake().clear();
        take_posts();
    }
    const TimePoint now = Clock::now();
    // Wake-ups before answers: a chunk that was announced before it was read is not one the poll had to find.
    listener_.advance(fds[1].revents, now);
    follower_.advance(fds[2].revents, now, listener_.listening());
    if (now >= poll_at_) {
        poll_at_ = now + options_.poll_interval;
        follower_.poll(now);
        listener_.check(now);
    }
    follower_.fetch(now, listener_.listening());
}

void Loop::take_posts() {
    while (const auto subscription = mailbox_->take())
        look_at(subscription);
}

void Loop::look_at(const std::shared_ptr<Subscription> &subscription) {
    const bool gone = subscription->stopped();
    if (subscription->loop.topic != nullptr) {
        if (gone)
            follower_.forget(*subscription);
        else
            follower_.readmit(*subscription);
    } else if (!gone && !subscription->loop.done) {
        follower_.admit(subscription);
        listener_.start();
    }
    subscription->poke(counters_.callback_errors);
}

void Loop::close_all() noexcept {
    mailbox_->shut();
    registry_.each([](Subscription &subscription) { subscription.client_closed(); });
    while (const auto subscription = mailbox_->take())
        subscription->client_closed();
}

void Loop::fail_all(const Error &error) noexcept {
    try {
        registry_.each([&](Subscription &subscription) { subscription.fail(error); });
    } catch (const std::exception &) {  // no memory for the message: they are told that the client is closed
    }
}

}  // namespace rill::detail
