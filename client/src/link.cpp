// See link.hpp.
#include "link.hpp"

#include "schema.hpp"

#include <algorithm>

#include <poll.h>

namespace rill::detail {
namespace {

constexpr std::chrono::milliseconds kMaxPatience{60'000};
// A nudge that the server reads together with the statement does not end its wait: so another one follows.
constexpr std::chrono::milliseconds kNudgeAgain{50};
// What poll(2) says of a socket that has something to be taken, an end too.
constexpr short kCame = POLLIN | POLLERR | POLLHUP | POLLNVAL;

}  // namespace

Link::Link(ConnectPlan plan, std::string role, Backoff backoff, std::chrono::milliseconds response_timeout)
    : plan_(std::move(plan)), role_(std::move(role)), backoff_(backoff), response_timeout_(response_timeout),
      patience_(response_timeout), route_(plan_.targets()) {}

int Link::fd() const noexcept {
    switch (state_) {
    case State::down:
        return -1;
    case State::resolving:
        return route_.fd();
    default:
        return connection_.socket();
    }
}

Link::News Link::advance(short revents, TimePoint now) {
    switch (state_) {
    case State::down:
        return now < wake_at_ ? News::none : resolve(now);
    case State::resolving:
        if (route_.known())
            return resolved(now);
        if (now >= wake_at_)
            return lose(Error("no answer from the name service within connect_timeout", {.connection_lost = true}),
                        now);
        return News::none;
    case State::connecting:
        if (now >= wake_at_) {
            const Error timeout("no answer from the server within connect_timeout", {.connection_lost = true});
            return route_.pass_over(connection_.target()) ? connect(now) : lose(timeout, now);
        }
        return revents == 0 ? News::none : advance_connect(now);
    case State::preparing:
    case State::idle:
    case State::busy:
        return advance_query(revents, now);
    case State::waiting:
        return advance_wait(revents, now);
    }
    return News::none;
}

Link::News Link::resolve(TimePoint now) {
    try {
        route_.begin();
    } catch (const Error &error) {
        return lose(error, now);
    }
    if (route_.known())
        return resolved(now);
    state_ = State::resolving;
    events_ = POLLIN;
    wake_at_ = connect_deadline(now);
    return News::none;
}

Link::News Link::resolved(TimePoint now) {
    try {
        route_.settle();
    } catch (const Error &error) {
        return lose(error, now);
    }
    return connect(now);
}

Link::News Link::connect(TimePoint now) {
    connection_ = Connection::start(plan_.settings(role_, route_.targets()));
    state_ = State::connecting;
    target_ = {};
    wake_at_ = connect_deadline(now);
    if (connection_.socket() < 0)
        return lose(connection_.loss(), now);
    events_ = POLLOUT;
    limit_host(now);
    return News::none;
}

// libpq goes from one host to the next by itself when one refuses; each has its own time.
void Link::limit_host(TimePoint now) {
    Target target = connection_.target();
    if (target == target_)
        return;
    target_ = std::move(target);
    wake_at_ = connect_deadline(now);
}

TimePoint Link::connect_deadline(TimePoint now) const noexcept {
    const auto limit = plan_.connect_timeout();
    return limit.count() == 0 ? TimePoint::max() : now + limit;
}

Link::News Link::advance_connect(TimePoint now) {
    switch (connection_.poll_connect()) {
    case PGRES_POLLING_READING:
        events_ = POLLIN;
        break;
    case PGRES_POLLING_WRITING:
        events_ = POLLOUT;
        break;
    case PGRES_POLLING_OK:
        if (!connection_.settle())
            return lose(connection_.loss(), now);
        state_ = State::preparing;
        send_failed_ = !connection_.send(kFindExtension, {}, false) || !push();
        wake_at_ = now + patience_;
        return advance_query(0, now);
    default:
        return lose(connection_.loss(), now);
    }
    limit_host(now);
    return News::none;
}

void Link::send(const std::string &sql, const Params &params, bool binary, TimePoint now) {
    result_ = {};
    state_ = State::busy;
    wake_at_ = now + patience_;
    send_failed_ = !connection_.send(sql, params, binary) || !push();
    if (send_failed_)
        wake_at_ = now;
}

void Link::wait(const std::string &sql, const Params &params, bool binary, TimePoint now) {
    result_ = {};
    state_ = State::waiting;
    wake_at_ = answer_by_ = TimePoint::max();
    send_failed_ = !connection_.send_alone(sql, params, binary) || !push();
    if (send_failed_)
        wake_at_ = now;
}

void Link::end_wait(TimePoint now) {
    if (state_ != State::waiting || answer_by_ != TimePoint::max())
        return;
    answer_by_ = now + patience_;
    wake_at_ = now;
}

// Writes what the socket takes, and asks poll(2) for what is needed next.
bool Link::push() noexcept {
    const int left = connection_.flush();
    events_ = left > 0 ? POLLIN | POLLOUT : POLLIN;
    return left >= 0;
}

Link::News Link::advance_query(short revents, TimePoint now) {
    const bool came = (revents & kCame) != 0;
    if (send_failed_ || (came && !connection_.consume()))
        return lose(connection_.loss(), now);
    if (came && state_ != State::idle)
        wake_at_ = now + patience_;  // whatever came is a sign of life
    if (state_ == State::idle)
        return News::none;
    if (!push())
        return lose(connection_.loss(), now);
    while (!connection_.busy()) {
        Result next = connection_.result();
        if (!next) {
            if (!connection_.connected())
                return lose(result_ && !result_.ok() ? result_.error(true) : connection_.loss(), now);
            return state_ == State::preparing ? prepare(now) : answered();
        }
        if (!result_ || result_.ok())
            result_ = std::move(next);
    }
    return now >= wake_at_ ? lose_silent(now) : News::none;
}

Link::News Link::advance_wait(short revents, TimePoint now) {
    const bool came = (revents & kCame) != 0;
    if (send_failed_ || (came && !connection_.consume()))
        return lose(connection_.loss(), now);
    if (came && answer_by_ != TimePoint::max())
        answer_by_ = now + patience_;
    while (!connection_.busy()) {
        Result next = connection_.result();
        if (next && next.pipeline_ended())
            return connection_.leave_pipeline() ? answered() : lose(connection_.loss(), now);
        if (!next && !connection_.connected())
            return lose(result_ && !result_.ok() ? result_.error(true) : connection_.loss(), now);
        if (next && (!result_ || result_.ok()))
            result_ = std::move(next);
    }
    if (now >= answer_by_)
        return lose_silent(now);
    if (now >= wake_at_) {
        if (!connection_.nudge())
            return lose(connection_.loss(), now);
        wake_at_ = std::min(now + kNudgeAgain, answer_by_);
    }
    return push() ? News::none : lose(connection_.loss(), now);
}

Link::News Link::answered() {
    state_ = State::idle;
    events_ = POLLIN;
    wake_at_ = TimePoint::max();
    patience_ = response_timeout_;
    return News::result;
}

// Perhaps it is not dead but slow: give the next one more time, so that it gets through some day.
Link::News Link::lose_silent(TimePoint now) {
    const auto waited = patience_;
    patience_ = std::min(patience_ * 2, std::max(kMaxPatience, response_timeout_));
    return lose(
        Error("no answer from the server within " + std::to_string(waited.count()) + " ms", {.connection_lost = true}),
        now);
}

Link::News Link::prepare(TimePoint now) {
    state_ = State::idle;
    events_ = POLLIN;
    wake_at_ = TimePoint::max();
    Result found = take_result();
    if (!found.ok())
        return lose(found.error(false), now);
    try {
        schema_ = schema_prefix(connection_, found);
    } catch (const Error &error) {
        return lose(error, now);
    }
    ever_connected_ = true;
    return News::connected;
}

Link::News Link::lose(Error why, TimePoint now) {
    drop(std::move(why), now);
    return News::lost;
}

void Link::drop(Error why, TimePoint now) {
    loss_ = std::move(why);
    connection_ = {};
    result_ = {};
    send_failed_ = false;
    events_ = 0;
    state_ = State::down;
    wake_at_ = now + backoff_.take(dice_);
}

}  // namespace rill::detail
