// See listener.hpp.
#include "listener.hpp"

#include "extension_schema.hpp"
#include "payload.hpp"

#include <algorithm>
#include <utility>

namespace rill::detail {
namespace {

constexpr std::chrono::seconds kRetryRefused{30};
// A pooler stays one. But a server may have been slow.
constexpr std::chrono::minutes kRetryPooled{5};

Error nothing_heard(bool direct) {
    return {"LISTEN is accepted, but no notification arrives",
            {.sqlstate = "55000",
             .hint = direct ? "Do listen_conninfo and the client's own connection string lead to the same database of "
                              "the same server?"
                            : "This is a transaction pooler, it seems. Set listen_conninfo to a connection without it, "
                              "or pool by session. Until then chunks are found by polling every poll_interval; "
                              "wait_through_pooler finds them sooner, at the price of a server connection."}};
}

}  // namespace

TimePoint Listener::wake_at() const noexcept {
    if (state_ == State::off)
        return TimePoint::max();
    const TimePoint retry_at = state_ == State::refused ? retry_at_ : TimePoint::max();
    return std::min({link_.wake_at(), test_.due(), retry_at});
}

void Listener::advance(short revents, TimePoint now) {
    if (state_ == State::off)
        return;
    switch (link_.advance(revents, now)) {
    case Link::Progress::none:
        break;
    case Link::Progress::connected:
        if (link_.connects() > 1)
            add(counters_.reconnects);
        begin_test(now);
        break;
    case Link::Progress::answered:
        answered(now);
        break;
    case Link::Progress::failed:
        add(counters_.connect_failures);
        lost(link_.loss());
        return;
    case Link::Progress::lost:
        lost(link_.loss());
        return;
    }
    if (link_.state() == Link::State::idle || link_.state() == Link::State::busy)
        read_notifications();
    check_test(now);
    if (state_ == State::testing && !test_.active() && link_.state() == Link::State::idle)
        request(now);
    if (state_ == State::refused && now >= retry_at_ && link_.state() == Link::State::idle)
        begin_test(now);
}

void Listener::read_notifications() {
    while (const auto notification = link_.notification()) {
        if (notification->channel == test_.channel()) {
            test_.heard(notification->payload);
            continue;
        }
        add(counters_.notifications);
        const bool ids_only = parse_payload(notification->payload, [&](std::int64_t stream_id) {
            rescues_.announced(stream_id);
            registry_.wake_id(stream_id, kNotify);
        });
        if (!ids_only) {
            rescues_.announced_all();
            registry_.wake_all(kNotify);
        }
    }
}

void Listener::begin_test(TimePoint now) {
    set_state(State::testing);
    link_.send("LISTEN " + test_.channel(), {}, false, now);
}

void Listener::check_test(TimePoint now) {
    if (test_.refused())
        refused(Error(test_.refusal()), now);
    else if (test_.silent(now))
        refused(nothing_heard(link_.direct()), now);
}

void Listener::request(TimePoint now) {
    set_state(State::requesting);
    link_.send("SELECT " + link_.schema() + "stream_listen()", {}, false, now);
}

void Listener::check(TimePoint now) {
    if (listening() && (!test_.active() || test_.wanted()) && link_.state() == Link::State::idle)
        link_.send("SELECT 1", {}, false, now);
}

void Listener::answered(TimePoint now) {
    const Result result = link_.take_result();
    if (state_ == State::refused)
        return;  // what it tidied up matters no more
    if (!result.ok()) {
        refused(result.error(false), now);
        return;
    }
    link_.reset_backoff();
    if (state_ == State::testing)
        test_.begin();
    if (state_ != State::requesting)
        return;
    reported_refusal_.clear();
    silent_ = looked_again_ = false;
    set_state(State::listening);
    events_.emit({.kind = Event::Kind::connected, .channel = Event::Channel::listen});
    registry_.wake_all(kCatchUp);  // earlier wake-ups are lost
}

void Listener::refused(const Error &why, TimePoint now) {
    const bool moved = extension_not_found(why) && !std::exchange(looked_again_, true);
    // What was heard once and is no more, or the check has failed: the connection is of no use.
    if (moved || state_ == State::listening) {
        link_.drop(why, now);
        lost(why);
        return;
    }
    silent_ = test_.silent(now);
    const bool heard_nothing = test_.active();
    test_.end();
    link_.reset_backoff();
    // A pooled session should not go on listening. This may reach another one, where it changes nothing.
    if (heard_nothing && link_.state() == Link::State::idle)
        link_.send("UNLISTEN " + test_.channel(), {}, false, now);
    set_state(State::refused);
    retry_at_ = now + (link_.direct() ? std::chrono::seconds(kRetryRefused) : std::chrono::seconds(kRetryPooled));
    if (reported_refusal_ == why.what())
        return;
    reported_refusal_ = why.what();
    events_.emit(Event::Kind::degraded, Event::Channel::listen, why);
}

void Listener::lost(const Error &why) {
    test_.end();
    set_state(State::down);
    events_.emit(Event::Kind::disconnected, Event::Channel::listen, why);
}

void Listener::set_state(State state) noexcept {
    state_ = state;
    counters_.listening.store(listening(), std::memory_order_relaxed);
}

}  // namespace rill::detail
