// See listener.hpp.
#include "listener.hpp"

#include "payload.hpp"

#include <algorithm>

namespace rill::detail {
namespace {

constexpr std::chrono::seconds kRetryRefused{30};

}  // namespace

TimePoint Listener::wake_at() const noexcept {
    if (state_ == State::off)
        return TimePoint::max();
    return state_ == State::refused ? std::min(link_.wake_at(), retry_at_) : link_.wake_at();
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
        request(now);
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
    if (state_ == State::refused && now >= retry_at_)
        request(now);
}

void Listener::read_notifications() {
    while (const auto payload = link_.notification()) {
        add(counters_.notifications);
        const bool ids_only = parse_payload(*payload, [&](std::int64_t stream_id) {
            rescues_.announced(stream_id);
            registry_.wake_id(stream_id, kNotify);
        });
        if (!ids_only) {
            rescues_.announced_all();
            registry_.wake_all(kNotify);
        }
    }
}

void Listener::request(TimePoint now) {
    set_state(State::requesting);
    link_.send("SELECT " + link_.schema() + "stream_listen()", {}, false, now);
}

void Listener::check(TimePoint now) {
    if (listening() && link_.state() == Link::State::idle)
        link_.send("SELECT 1", {}, false, now);
}

void Listener::answered(TimePoint now) {
    const Result result = link_.take_result();
    if (!result.ok()) {
        refused(result.error(false), now);
        return;
    }
    link_.reset_backoff();
    if (state_ != State::requesting)
        return;
    reported_refusal_.clear();
    set_state(State::listening);
    events_.emit({.kind = Event::Kind::connected, .channel = Event::Channel::listen});
    registry_.wake_all(kCatchUp);  // earlier wake-ups are lost
}

void Listener::refused(const Error &why, TimePoint now) {
    if (state_ != State::requesting) {  // the check
        link_.drop(why, now);
        lost(why);
        return;
    }
    link_.reset_backoff();
    set_state(State::refused);
    retry_at_ = now + kRetryRefused;
    if (reported_refusal_ == why.what())
        return;
    reported_refusal_ = why.what();
    events_.emit(Event::Kind::degraded, Event::Channel::listen, why);
}

void Listener::lost(const Error &why) {
    set_state(State::down);
    events_.emit(Event::Kind::disconnected, Event::Channel::listen, why);
}

void Listener::set_state(State state) noexcept {
    state_ = state;
    counters_.listening.store(listening(), std::memory_order_relaxed);
}

}  // namespace rill::detail
