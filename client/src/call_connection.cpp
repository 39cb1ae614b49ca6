// See call_connection.hpp.
#include "call_connection.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>
#include <system_error>
#include <utility>

#include <poll.h>

namespace rill::detail {
namespace {

// How long the answer to a cancelled statement is waited for: as long as the call could take, within these bounds.
// Whoever closes the client does not want to wait.
constexpr std::chrono::milliseconds kCancelAtLeast{1'000};
constexpr std::chrono::milliseconds kCancelAtMost{5'000};
// A request that arrives before the statement does is lost, so it is repeated.
constexpr std::chrono::milliseconds kCancelAgain{250};

// A failed attempt to connect, as the failure of a call that was not sent.
Error not_sent(const Error &error) {
    if (!error.connection_lost())
        return error;
    Error::Facts facts = error.facts();
    facts.retryable = true;
    return {error.what(), std::move(facts)};
}

}  // namespace

void CallConnection::ensure_connected(TimePoint deadline) {
    if (session_.usable())
        return;
    session_ = {};
    auto progress = connector_.start(std::chrono::milliseconds(0), Clock::now());
    while (progress == Connector::Progress::pending) {
        short revents = 0;
        switch (wait(connector_.fd(), connector_.events(), std::min(deadline, connector_.wake_at()), Effect::none, true,
                     revents)) {
        case Wait::closed:
            connector_.stop();
            throw Closed();
        case Wait::timed_out:
            if (Clock::now() < deadline)
                break;
            connector_.stop();
            throw timed_out("no connection to the server", {.connection_lost = true, .retryable = true});
        case Wait::ready:
            break;
        }
        progress = connector_.advance(revents, Clock::now());
    }
    if (progress == Connector::Progress::failed)
        throw not_sent(connector_.failure());
    session_ = connector_.take_session();
}

Result CallConnection::run(const std::string &sql, const Params &params, Effect effect, bool binary,
                           TimePoint deadline) {
    session_.send(sql, params, binary);  // advance() reports a failure
    short revents = 0;
    for (;;) {
        switch (session_.advance(revents)) {
        case Session::Progress::lost:
            throw lost(effect);
        case Session::Progress::answered: {
            Result result = session_.take_result();
            if (!result.ok())
                throw result.error(false);
            return result;
        }
        case Session::Progress::pending:
            break;
        }
        switch (wait(session_.fd(), session_.events(), deadline, effect, true, revents)) {
        case Wait::closed:
            return cancel(effect, true);
        case Wait::timed_out:
            return cancel(effect, false);
        case Wait::ready:
            break;
        }
    }
}

// Ends the statement that runs. Returns its rows if it was faster.
Result CallConnection::cancel(Effect effect, bool closing) {
    // Moves the session away: whatever happens, this is its end.
    Session session = std::exchange(session_, Session());
    const auto give_up = [&](bool had_no_effect) {
        if (closing)
            throw Closed(!had_no_effect && effect == Effect::writes);
        if (had_no_effect)
            throw timed_out("no answer from the server", {.retryable = true});
        throw timed_out("no answer from the server, nor to the request to cancel the call",
                        {.connection_lost = true,
                         .retryable = effect == Effect::none,
                         .outcome_unknown = effect == Effect::writes});
    };
    if (!session.sent())
        give_up(true);  // the rest stays unsent: see Connection
    const auto patience = closing || settings_.timeout.count() == 0
                              ? kCancelAtLeast
                              : std::clamp(settings_.timeout, kCancelAtLeast, kCancelAtMost);
    const TimePoint end = Clock::now() + patience;
    std::shared_ptr<const std::atomic<bool>> request_done;
    for (TimePoint now = Clock::now(); now < end; now = Clock::now()) {
        if (request_done == nullptr || request_done->load())
            request_done = settings_.cancels.send(session.cancel_handle());
        short revents = 0;
        (void) wait(session.fd(), session.events(), std::min(now + kCancelAgain, end), effect, false, revents);
        switch (session.advance(revents)) {
        case Session::Progress::lost:
            give_up(false);
            break;
        case Session::Progress::answered: {
            Result result = session.take_result();
            if (result.ok())
                return result;
            if (result.sqlstate() == "57014")
                give_up(true);
            throw result.error(false);
        }
        case Session::Progress::pending:
            break;
        }
    }
    give_up(false);
    return {};
}

Error CallConnection::lost(Effect effect) const {
    Error::Facts facts = session_.loss().facts();
    facts.retryable = !session_.sent() || effect == Effect::none;
    facts.outcome_unknown = !facts.retryable;
    return {session_.loss().what(), std::move(facts)};
}

Error CallConnection::timed_out(const std::string &what, Error::Facts facts) const {
    facts.sqlstate = "57014";
    std::string message = what + " within call_timeout (" + std::to_string(settings_.timeout.count()) + " ms)";
    if (facts.outcome_unknown)
        message += "; whether the call had its effect is not known";
    return {message, std::move(facts)};
}

// `running` is the effect of the statement that runs meanwhile.
CallConnection::Wait CallConnection::wait(int fd, short events, TimePoint deadline, Effect running, bool heed_close,
                                          short &revents) const {
    for (;;) {
        pollfd fds[2] = {{fd, events, 0}, {heed_close ? settings_.closed.get() : -1, POLLIN, 0}};
        const int ready = ::poll(fds, 2, poll_timeout(deadline, Clock::now()));
        if (ready < 0 && errno != EINTR)
            throw Error("poll failed: " + std::generic_category().message(errno),
                        {.outcome_unknown = running == Effect::writes});
        if (ready > 0 && fds[1].revents != 0)
            return Wait::closed;
        if (ready > 0 && fds[0].revents != 0) {
            revents = fds[0].revents;
            return Wait::ready;
        }
        if (deadline != TimePoint::max() && Clock::now() >= deadline)
            return Wait::timed_out;
    }
}

}  // namespace rill::detail
