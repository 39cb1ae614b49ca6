// The background thread of a Client: one poll(2) over the LISTEN connection, the read connection and an eventfd.
//
// It owns what only it touches (links, registry), so that none of it needs a lock; other threads reach it through the
// mailbox. Situations it must survive: close() at any moment, also during the first connect or from one of its own
// callbacks; an exception in the loop itself (no memory): then every reader gets an error, and none hangs.
#pragma once

#include "conninfo.hpp"
#include "counters.hpp"
#include "event_sink.hpp"
#include "fetcher.hpp"
#include "listen_test.hpp"
#include "listener.hpp"
#include "mailbox.hpp"
#include "monotonic.hpp"
#include "registry.hpp"
#include "rescues.hpp"
#include "rill/options.hpp"

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <utility>

namespace rill::detail {

class Loop {
public:
    // All references must outlive the loop.
    Loop(const Conninfo &conninfo, const Conninfo &listen_conninfo, const Options &options,
         std::shared_ptr<Mailbox> mailbox, Counters &counters);

    // What else is done in the loop's thread, at this interval. Set before run(); must not throw.
    void every(std::chrono::milliseconds interval, std::function<void(TimePoint now)> chore) {
        chore_interval_ = interval;
        chore_at_ = Clock::now() + interval;
        chore_ = std::move(chore);
    }

    // The thread's body. `connected` is fulfilled by the first connect, or gets the Error that prevented it; then this
    // returns. Otherwise it returns after Mailbox::request_stop().
    void run(std::promise<void> connected) noexcept;

private:
    void run_once();
    void share_news(std::uint64_t read_connects, bool listen_proven, bool read_proven, TimePoint now);
    [[nodiscard]] Fetcher::Wakeups wakeups() const noexcept { return {listener_.listening(), listener_.silent()}; }
    void take_posts();
    void check(const std::shared_ptr<Subscription> &subscription);
    void fail_all(const Error &error) noexcept;
    void close_all() noexcept;

    const Options &options_;
    const std::shared_ptr<Mailbox> mailbox_;
    Counters &counters_;
    const EventSink events_;
    Registry registry_;
    Rescues rescues_;
    ListenTest listen_test_;
    Listener listener_;
    Fetcher fetcher_;
    TimePoint poll_at_ = TimePoint::max();
    TimePoint chore_at_ = TimePoint::max();
    std::chrono::milliseconds chore_interval_{};
    std::function<void(TimePoint now)> chore_;
};

}  // namespace rill::detail
