// See listener.hpp.
#include "listener.hpp"

#include "payload.hpp"

#include <algorithm>

namespace rill::detail {
namespace {

constexpr std::chrono::seconds kRetryRefused{30};

}  // namespace

TimePoint Listener::wake_at() const noexcept {
    if (!started_)
        return TimePoint::max();
    return link_.state() == Link::State::idle ? std::min(link_.wake_at(), retry_at_) : link_.wake_at();
}

void Listener::advance(short revents, TimePoint now) {
    if (!started_)
        return;
    const Link::News news = link_.advance(revents, now);
    switch (news) {
    case Link::News::none:
        break;
    case Link::News::connected:
        if (was_up_)
            add(counters_.reconnects);
        was_up_ = true;
        listen(now);
        break;
    case Link::News::result:
        answered(now);
        break;
    case Link::News::lost:
        if (!listening_ && !asked_to_listen_)
            add(counters_.connect_failures);
        asked_to_listen_ = false;
        retry_at_ = TimePoint::max();
        set_listening(false);
        teller_.tell({.kind = Event::Kind::disconnected,
                      .channel = Event::Channel::listen,
                      .reason = link_.loss().what(),
                      .sqlstate = link_.loss().sqlstate()});
        return;
    }
    if (link_.state() == Link::State::idle || link_.state() == Link::State::busy)
        hear();
    if (link_.state() == Link::State::idle && now >= retry_at_)
        listen(now);
}

void Listener::hear() {
    while (const auto payload = link_.notification()) {
        add(counters_.notifications);
        const bool ids_only =
            parse_payload(*payload, [&](std::int64_t stream_id) { registry_.wake_id(stream_id, kNotify); });
        if (!ids_only) {
            registry_.announce_all();
            registry_.wake_all(kNotify);
        }
    }
}

void Listener::listen(TimePoint now) {
    retry_at_ = TimePoint::max();
    asked_to_listen_ = true;
    link_.send("SELECT " + link_.schema() + "stream_listen()", {}, false, now);
}

void Listener::check(TimePoint now) {
    if (link_.state() == Link::State::idle && listening_)
        link_.send("SELECT 1", {}, false, now);
}

void Listener::answered(TimePoint now) {
    const Result result = link_.take_result();
    const bool was_listen = std::exchange(asked_to_listen_, false);
    if (result.ok()) {
        link_.caught_up();
        if (!was_listen)
            return;
        refusal_.clear();
        set_listening(true);
        teller_.tell({.kind = Event::Kind::connected, .channel = Event::Channel::listen});
        registry_.wake_all(kCatchUp);  // wake-ups from before are lost
        return;
    }
    const Error why = result.error(false);
    if (!was_listen) {
        set_listening(false);
        link_.drop(why, now);
        teller_.tell({.kind = Event::Kind::disconnected,
                      .channel = Event::Channel::listen,
                      .reason = why.what(),
                      .sqlstate = why.sqlstate()});
        return;
    }
    link_.caught_up();
    retry_at_ = now + kRetryRefused;
    if (refusal_ == why.what())
        return;
    refusal_ = why.what();
    teller_.tell({.kind = Event::Kind::degraded,
                  .channel = Event::Channel::listen,
                  .reason = refusal_,
                  .sqlstate = why.sqlstate()});
}

void Listener::set_listening(bool on) noexcept {
    listening_ = on;
    counters_.listening.store(on, std::memory_order_relaxed);
}

}  // namespace rill::detail
