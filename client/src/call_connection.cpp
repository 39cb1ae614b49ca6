// See call_connection.hpp.
#include "call_connection.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <poll.h>

namespace rill::detail {
namespace {

// A failed attempt to connect, as the failure of a call that was not sent.
Error not_sent(const Error &error) {
    if (!error.connection_lost())
        return error;
    return {error.what(),
            {.sqlstate = error.sqlstate(),
             .detail = error.detail(),
             .hint = error.hint(),
             .connection_lost = true,
             .retryable = true}};
}

}  // namespace

Error call_timed_out(bool sent) {
    return {"no answer from the server within call_timeout", {.connection_lost = true, .retryable = !sent}};
}

void CallConnection::ensure_connected(TimePoint deadline) {
    if (session_.usable())
        return;
    session_ = {};
    auto progress = connector_.start(std::chrono::milliseconds(0), Clock::now());
    while (progress == Connector::Progress::pending) {
        short revents = 0;
        switch (wait(connector_.fd(), connector_.events(), std::min(deadline, connector_.wake_at()), revents)) {
        case Wait::closed:
            connector_.stop();
            throw Closed();
        case Wait::timed_out:
            if (Clock::now() < deadline)
                break;
            connector_.stop();
            throw call_timed_out(false);
        case Wait::ready:
            break;
        }
        progress = connector_.advance(revents, Clock::now());
    }
    if (progress == Connector::Progress::failed)
        throw not_sent(connector_.failure());
    session_ = connector_.take_session();
}

Result CallConnection::run(const std::string &sql, const Params &params, bool binary, TimePoint deadline) {
    session_.send(sql, params, binary);  // advance() reports a failure
    short revents = 0;
    for (;;) {
        switch (session_.advance(revents)) {
        case Session::Progress::lost:
            throw session_.loss();
        case Session::Progress::answered: {
            Result result = session_.take_result();
            if (!result.ok())
                throw result.error(false);
            return result;
        }
        case Session::Progress::pending:
            break;
        }
        switch (wait(session_.fd(), session_.events(), deadline, revents)) {
        case Wait::closed:
            session_ = {};
            throw Closed();
        case Wait::timed_out:
            session_ = {};
            throw call_timed_out(true);
        case Wait::ready:
            break;
        }
    }
}

CallConnection::Wait CallConnection::wait(int fd, short events, TimePoint deadline, short &revents) const {
    for (;;) {
        pollfd fds[2] = {{fd, events, 0}, {closed_.get(), POLLIN, 0}};
        const int ready = ::poll(fds, 2, poll_timeout(deadline, Clock::now()));
        if (ready < 0 && errno != EINTR)
            throw Error("poll failed: " + std::generic_category().message(errno));
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
