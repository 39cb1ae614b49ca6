// See link.hpp.
#include "link.hpp"

#include <algorithm>

namespace rill::detail {
namespace {

constexpr std::chrono::milliseconds kMaxResponseTimeout{60'000};
// How often to repeat the request to end a wait: see Session::interrupt().
constexpr std::chrono::milliseconds kInterruptAgain{50};

}  // namespace

Link::Progress Link::advance(short revents, TimePoint now) {
    switch (state_) {
    case State::down:
        if (now < wake_at_)
            return Progress::none;
        state_ = State::connecting;
        return connecting(connector_.start(response_timeout_, now), now);
    case State::connecting:
        return connecting(connector_.advance(revents, now), now);
    case State::idle:
    case State::busy:
    case State::waiting:
        return advance_session(revents, now);
    }
    return Progress::none;
}

Link::Progress Link::connecting(Connector::Progress progress, TimePoint now) {
    switch (progress) {
    case Connector::Progress::pending:
        return Progress::none;
    case Connector::Progress::failed:
        if (connector_.answer_timed_out())
            answer_timed_out();
        drop(connector_.failure(), now);
        return Progress::failed;
    case Connector::Progress::connected:
        break;
    }
    session_ = connector_.take_session();
    state_ = State::idle;
    wake_at_ = TimePoint::max();
    ++connects_;
    return Progress::connected;
}

Link::Progress Link::advance_session(short revents, TimePoint now) {
    switch (session_.advance(revents)) {
    case Session::Progress::lost:
        drop(session_.loss(), now);
        return Progress::lost;
    case Session::Progress::answered:
        state_ = State::idle;
        wake_at_ = TimePoint::max();
        response_timeout_ = least_response_timeout_;
        return Progress::answered;
    case Session::Progress::pending:
        break;
    }
    if (state_ == State::idle)
        return Progress::none;
    if (has_input(revents) && answer_by_ != TimePoint::max())
        answer_by_ = now + response_timeout_;  // a sign of life
    if (now >= answer_by_) {
        const auto waited = response_timeout_.count();
        answer_timed_out();
        drop(Error("no answer from the server within " + std::to_string(waited) + " ms", {.connection_lost = true}),
             now);
        return Progress::lost;
    }
    if (state_ == State::busy) {
        wake_at_ = answer_by_;
    } else if (now >= wake_at_) {
        // If sending fails, the next advance() reports it: at once.
        wake_at_ = session_.interrupt() ? std::min(now + kInterruptAgain, answer_by_) : now;
    }
    return Progress::none;
}

// The server may be slow rather than dead: the next answer has more time, so that it comes through in the end.
void Link::answer_timed_out() noexcept {
    response_timeout_ = std::min(response_timeout_ * 2, std::max(kMaxResponseTimeout, least_response_timeout_));
}

void Link::send(const std::string &sql, const Params &params, bool binary, TimePoint now) {
    state_ = State::busy;
    answer_by_ = now + response_timeout_;
    wake_at_ = session_.send(sql, params, binary) ? answer_by_ : now;
}

void Link::wait(const std::string &sql, const Params &params, bool binary, TimePoint now) {
    state_ = State::waiting;
    answer_by_ = TimePoint::max();
    wake_at_ = session_.send_interruptible(sql, params, binary) ? TimePoint::max() : now;
}

void Link::end_wait(TimePoint now) {
    if (state_ != State::waiting || answer_by_ != TimePoint::max())
        return;
    answer_by_ = now + response_timeout_;
    wake_at_ = now;
}

void Link::drop(Error why, TimePoint now) {
    loss_ = std::move(why);
    session_ = {};
    proven_ = false;
    state_ = State::down;
    wake_at_ = now + backoff_.take(random_);
}

}  // namespace rill::detail
