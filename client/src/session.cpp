// See session.hpp.
#include "session.hpp"

#include <utility>

#include <poll.h>

namespace rill::detail {
namespace {

// The session ended with this error. Whether the statement had an effect is unknown even so: the server may have ended
// the session after the commit.
Error loss_by(const Result &result) {
    const Error error = result.error(true);
    return {error.what(),
            {.sqlstate = error.sqlstate(), .detail = error.detail(), .hint = error.hint(), .connection_lost = true}};
}

}  // namespace

bool has_input(short revents) noexcept { return (revents & (POLLIN | POLLERR | POLLHUP | POLLNVAL)) != 0; }

Session::Session(Connection connection)
    : connection_(std::move(connection)), state_(State::idle), events_(POLLIN),
      broken_(!connection_.set_nonblocking()) {}

bool Session::send(const std::string &sql, const Params &params, bool binary) noexcept {
    return started(connection_.send(sql, params, binary), State::running);
}

bool Session::send_interruptible(const std::string &sql, const Params &params, bool binary) noexcept {
    return started(connection_.send_in_pipeline(sql, params, binary), State::interruptible);
}

bool Session::started(bool sent, State state) noexcept {
    result_ = {};
    state_ = state;
    sent_ = false;
    broken_ = broken_ || !sent || !flush();
    return !broken_;
}

bool Session::interrupt() noexcept {
    broken_ = broken_ || !connection_.send_flush() || !flush();
    return !broken_;
}

// Writes what the socket takes, and asks poll(2) for what is needed next.
bool Session::flush() noexcept {
    const int left = connection_.flush();
    events_ = left > 0 ? POLLIN | POLLOUT : POLLIN;
    sent_ = sent_ || left == 0;
    return left >= 0;
}

Session::Progress Session::advance(short revents) {
    if (broken_)
        return lose(connection_.loss());
    const bool ended = has_input(revents) && !connection_.consume();
    if (state_ == State::idle)
        return ended ? lose(connection_.loss()) : Progress::pending;
    if (!ended && !flush())
        return lose(connection_.loss());
    // The answer may have come before the end.
    if (read_results())
        return finish();
    return ended ? lose(connection_.loss()) : Progress::pending;
}

// Takes the results that have arrived; true if that was all. A statement commits after its result was sent, so only the
// end of the results means that it has, and an error may follow a result.
bool Session::read_results() {
    while (!connection_.busy()) {
        Result next = connection_.result();
        if (next && next.is_pipeline_sync())
            return true;
        if (!next && (state_ == State::running || !connection_.connected()))
            return true;
        if (next && (!result_ || result_.ok()))
            result_ = std::move(next);
    }
    return false;
}

Session::Progress Session::finish() {
    if (!result_ || !connection_.connected())
        return lose(result_ && !result_.ok() ? loss_by(result_) : connection_.loss());
    if (!result_.ok()) {
        // An error of libpq's own, or one that ends the session even if a pooler keeps the connection open.
        const std::string sqlstate = result_.sqlstate();
        if (sqlstate.empty() || sqlstate.starts_with("57P0"))
            return lose(loss_by(result_));
    }
    if (state_ == State::interruptible && !connection_.leave_pipeline())
        return lose(connection_.loss());
    state_ = State::idle;
    events_ = POLLIN;
    return Progress::answered;
}

Session::Progress Session::lose(Error why) {
    loss_ = std::move(why);
    connection_ = {};
    result_ = {};
    state_ = State::none;
    events_ = 0;
    broken_ = false;
    return Progress::lost;
}

bool Session::usable() {
    if (state_ != State::idle)
        return false;
    for (;;) {
        pollfd fd{connection_.socket(), POLLIN, 0};
        if (::poll(&fd, 1, 0) <= 0)
            return connection_.connected() && !connection_.terminated();
        // A notice, a notification or the end; the end is noticed in the second round at the latest.
        if (advance(fd.revents) == Progress::lost)
            return false;
    }
}

}  // namespace rill::detail
