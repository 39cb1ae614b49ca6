// See connector.hpp.
#include "connector.hpp"

#include "extension_schema.hpp"

#include <utility>

#include <poll.h>

namespace rill::detail {

Connector::Progress Connector::start(std::chrono::milliseconds answer_timeout, TimePoint now) {
    stop();
    answer_timeout_ = answer_timeout;
    answer_timed_out_ = false;
    try {
        hosts_.begin();
    } catch (const Error &error) {
        return fail(error);
    }
    state_ = State::resolving;
    wake_at_ = host_deadline(now);
    return advance(0, now);
}

Connector::Progress Connector::advance(short revents, TimePoint now) {
    switch (state_) {
    case State::inactive:
        return Progress::pending;
    case State::resolving:
        if (hosts_.resolved())
            return resolved(now);
        if (now >= wake_at_)
            return fail(Error("no answer from the name service within connect_timeout", {.connection_lost = true}));
        return Progress::pending;
    case State::connecting:
        if (now >= wake_at_) {
            if (hosts_.skip(connection_.host()))
                return connect(now);
            return fail(Error("no answer from the server within connect_timeout", {.connection_lost = true}));
        }
        return revents == 0 ? Progress::pending : advance_connect(now);
    case State::locating:
        return advance_locate(revents, now);
    }
    return Progress::pending;
}

void Connector::stop() {
    if (state_ == State::connecting)
        (void) hosts_.skip(connection_.host());
    state_ = State::inactive;
    connection_ = {};
    session_ = {};
    wake_at_ = TimePoint::max();
}

int Connector::fd() const noexcept {
    switch (state_) {
    case State::inactive:
        return -1;
    case State::resolving:
        return hosts_.fd();
    case State::connecting:
        return connection_.socket();
    case State::locating:
        return session_.fd();
    }
    return -1;
}

short Connector::events() const noexcept {
    switch (state_) {
    case State::inactive:
        return 0;
    case State::resolving:
        return POLLIN;
    case State::connecting:
        return events_;
    case State::locating:
        return session_.events();
    }
    return 0;
}

Connector::Progress Connector::resolved(TimePoint now) {
    try {
        hosts_.finish();
    } catch (const Error &error) {
        return fail(error);
    }
    return connect(now);
}

Connector::Progress Connector::connect(TimePoint now) {
    connection_ = Connection::start(conninfo_.parameters(purpose_, hosts_.hosts()));
    if (connection_.socket() < 0)
        return fail(connection_.loss());
    state_ = State::connecting;
    events_ = POLLOUT;
    current_host_ = connection_.host();
    wake_at_ = host_deadline(now);
    return Progress::pending;
}

Connector::Progress Connector::advance_connect(TimePoint now) {
    switch (connection_.poll_connect()) {
    case PGRES_POLLING_READING:
        events_ = POLLIN;
        break;
    case PGRES_POLLING_WRITING:
        events_ = POLLOUT;
        break;
    case PGRES_POLLING_OK:
        return locate(Session(std::move(connection_)), now);
    default:
        return fail(connection_.loss());
    }
    restart_host_timeout(now);
    return Progress::pending;
}

// From a host that refuses libpq continues with the next by itself; each host has its own time.
void Connector::restart_host_timeout(TimePoint now) {
    Host host = connection_.host();
    if (host == current_host_)
        return;
    current_host_ = std::move(host);
    wake_at_ = host_deadline(now);
}

Connector::Progress Connector::locate(Session session, TimePoint now) {
    state_ = State::locating;
    session_ = std::move(session);
    session_.send(kFindExtension, {}, false);  // advance() reports a failure
    wake_at_ = deadline_after(now, answer_timeout_);
    return advance_locate(0, now);
}

Connector::Progress Connector::advance_locate(short revents, TimePoint now) {
    switch (session_.advance(revents)) {
    case Session::Progress::lost:
        return fail(session_.loss());
    case Session::Progress::pending:
        if (has_input(revents))
            wake_at_ = deadline_after(now, answer_timeout_);
        if (now < wake_at_)
            return Progress::pending;
        answer_timed_out_ = true;
        return fail(Error("no answer from the server within " + std::to_string(answer_timeout_.count()) + " ms",
                          {.connection_lost = true}));
    case Session::Progress::answered:
        break;
    }
    const Result found = session_.take_result();
    if (!found.ok())
        return fail(found.error(false));
    try {
        schema_ = schema_prefix(session_, found);
        direct_ = is_direct(session_, found);
    } catch (const Error &error) {
        return fail(error);
    }
    state_ = State::inactive;
    wake_at_ = TimePoint::max();
    return Progress::connected;
}

Connector::Progress Connector::fail(Error why) {
    failure_ = std::move(why);
    state_ = State::inactive;
    connection_ = {};
    session_ = {};
    wake_at_ = TimePoint::max();
    return Progress::failed;
}

}  // namespace rill::detail
