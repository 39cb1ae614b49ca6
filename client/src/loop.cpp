// See loop.hpp.
#include "loop.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <system_error>

#include <poll.h>

namespace rill::detail {

Loop::Loop(const Conninfo &conninfo, const Conninfo &listen_conninfo, const Options &options,
           std::shared_ptr<Mailbox> mailbox, Counters &counters)
    : options_(options), mailbox_(std::move(mailbox)), counters_(counters), events_(options.on_event, counters),
      listener_(Link(listen_conninfo, "listen", Backoff(options.reconnect_min, options.reconnect_max),
                     options.response_timeout),
                listen_test_, registry_, rescues_, counters, events_),
      fetcher_(Link(conninfo, "read", Backoff(options.reconnect_min, options.reconnect_max), options.response_timeout),
               options, listen_test_, registry_, rescues_, counters, events_) {}

void Loop::run(std::promise<void> connected) noexcept {
    bool promised = false;
    try {
        poll_at_ = deadline_after(Clock::now(), options_.poll_interval);
        while (!mailbox_->stop_requested()) {
            run_once();
            if (promised)
                continue;
            if (fetcher_.link().connects() > 0) {
                promised = true;
                connected.set_value();
            } else if (fetcher_.first_connect_failed()) {
                promised = true;
                connected.set_exception(std::make_exception_ptr(fetcher_.link().loss()));
                break;
            }
        }
        if (!promised)
            connected.set_exception(std::make_exception_ptr(Closed()));
    } catch (const std::exception &error) {
        const Error reported(std::string("the background thread of the rill client failed: ") + error.what());
        if (!promised)
            connected.set_exception(std::make_exception_ptr(reported));
        fail_all(reported);
    }
    close_all();
    counters_.reading.store(false, std::memory_order_relaxed);
    counters_.listening.store(false, std::memory_order_relaxed);
    counters_.readers.store(0, std::memory_order_relaxed);
}

void Loop::run_once() {
    const Link &listen = listener_.link();
    const Link &read = fetcher_.link();
    std::array<pollfd, 3> fds{
        {{mailbox_->wake().get(), POLLIN, 0}, {listen.fd(), listen.events(), 0}, {read.fd(), read.events(), 0}}};
    const TimePoint wake_at = std::min({listener_.wake_at(), fetcher_.wake_at(), poll_at_, chore_at_});
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
    const std::uint64_t read_connects = read.connects();
    const bool listen_proven = listen.proven();
    const bool read_proven = read.proven();
    // Wake-ups before answers: a chunk that was announced before it was read was not found by the poll.
    listener_.advance(fds[1].revents, now);
    fetcher_.advance(fds[2].revents, now, wakeups());
    if (now >= poll_at_) {
        poll_at_ = now + options_.poll_interval;
        fetcher_.poll();
        listener_.check(now);
    }
    if (now >= chore_at_) {
        chore_at_ = now + chore_interval_;
        chore_(now);
    }
    fetcher_.fetch(now, wakeups());
    share_news(read_connects, listen_proven, read_proven, now);
    counters_.readers.store(registry_.size(), std::memory_order_relaxed);
}

// What one connection has learned and the other should know.
void Loop::share_news(std::uint64_t read_connects, bool listen_proven, bool read_proven, TimePoint now) {
    if (read_connects != fetcher_.link().connects() || fetcher_.take_rescued())
        listener_.doubt();
    // The server is back: no need to wait for the rest of a backoff.
    if (listener_.link().proven() && !listen_proven)
        fetcher_.try_now(now);
    if (fetcher_.link().proven() && !read_proven)
        listener_.try_now(now);
}

void Loop::take_posts() {
    while (const auto subscription = mailbox_->take())
        check(subscription);
}

void Loop::check(const std::shared_ptr<Subscription> &subscription) {
    ReaderState &state = subscription->state;
    const bool stopped = subscription->stopped();
    if (state.registered() && stopped) {
        registry_.remove(*subscription);
    } else if (state.phase() == ReaderState::Phase::full && !subscription->full()) {
        state.drain();
        registry_.queue().wake(*subscription, kCatchUp);
    } else if (state.phase() == ReaderState::Phase::unregistered && !stopped) {
        registry_.add(subscription);
        registry_.queue().wake(*subscription, kCatchUp);
        listener_.start();
    }
    subscription->notify_ready(counters_.callback_errors);
}

void Loop::fail_all(const Error &error) noexcept {
    try {
        registry_.each([&](Subscription &subscription) { subscription.fail(error); });
    } catch (const std::exception &) {  // no memory for the message: then they get Closed
    }
}

void Loop::close_all() noexcept {
    mailbox_->close();
    registry_.each([](Subscription &subscription) { subscription.client_closed(); });
    while (const auto subscription = mailbox_->take())
        subscription->client_closed();
}

}  // namespace rill::detail
