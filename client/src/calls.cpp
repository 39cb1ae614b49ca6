// See calls.hpp.
#include "calls.hpp"

#include "schema.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <poll.h>

namespace rill::detail {
namespace {

Error too_late(bool sent) {
    return {"no answer from the server within call_timeout", {.connection_lost = true, .retryable = !sent}};
}

Error not_sent(const Error &error) {
    return {error.what(),
            {.sqlstate = error.sqlstate(),
             .detail = error.detail(),
             .hint = error.hint(),
             .connection_lost = true,
             .retryable = true}};
}

}  // namespace

// The connection to oneself, in the order in which the operating system wakes.
class Calls::Turn {
public:
    Turn(Calls &calls, TimePoint deadline) : calls_(calls) {
        std::unique_lock lock(calls.mutex_);
        const auto mine = [&] { return !calls.taken_ || calls.closed_.load(std::memory_order_relaxed); };
        if (deadline == TimePoint::max())
            calls.free_.wait(lock, mine);
        else if (!calls.free_.wait_until(lock, deadline, mine))
            throw too_late(false);
        if (calls.closed_.load(std::memory_order_relaxed))
            throw Closed();
        calls.taken_ = true;
    }
    Turn(const Turn &) = delete;
    Turn &operator=(const Turn &) = delete;
    ~Turn() {
        {
            const std::scoped_lock lock(calls_.mutex_);
            calls_.taken_ = false;
        }
        calls_.free_.notify_one();
    }

private:
    Calls &calls_;
};

Result Calls::call(const std::function<std::string(const std::string &)> &sql, const Params &params, Effect effect,
                   bool binary) {
    const TimePoint deadline = timeout_.count() == 0 ? TimePoint::max() : Clock::now() + timeout_;
    const Turn turn(*this, deadline);
    for (bool second_try = false;; second_try = true) {
        if (!connection_ || !alive())
            connect(deadline);
        try {
            return run(sql(schema_), params, binary, deadline);
        } catch (const Error &error) {
            if (!error.connection_lost() || effect == Effect::writes || second_try || Clock::now() >= deadline ||
                closed_.load(std::memory_order_acquire))
                throw;
        }
    }
}

void Calls::close() noexcept {
    {
        const std::scoped_lock lock(mutex_);
        closed_.store(true, std::memory_order_release);
    }
    free_.notify_all();
    wake_.signal();  // never cleared: whoever waits, now or later, sees it
}

// Whether the connection has been closed at the other end since the last call.
bool Calls::alive() {
    pollfd fd{connection_.socket(), POLLIN, 0};
    while (::poll(&fd, 1, 0) > 0) {
        // Reads what came, a notice or the end; the end shows in the second round at the latest.
        if (!connection_.consume() || (fd.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0)
            return false;
    }
    return connection_.connected() && !connection_.dismissed();
}

TimePoint Calls::host_deadline() const noexcept {
    const auto limit = plan_.connect_timeout();
    return limit.count() == 0 ? TimePoint::max() : Clock::now() + limit;
}

void Calls::resolve(TimePoint deadline) {
    const TimePoint limit = host_deadline();
    try {
        route_.begin();
        while (!route_.known()) {
            switch (wait(route_.fd(), POLLIN, std::min(deadline, limit))) {
            case Wait::closed:
                throw Closed();
            case Wait::late:
                throw Error("no answer from the name service within connect_timeout", {.connection_lost = true});
            case Wait::ready:
                break;
            }
        }
        route_.settle();
    } catch (const Closed &) {
        throw;
    } catch (const Error &error) {
        throw not_sent(error);
    }
}

void Calls::connect(TimePoint deadline) {
    resolve(deadline);
    for (;;) {
        connection_ = Connection::start(plan_.settings("append", route_.targets()));
        short events = POLLOUT;
        Target target;
        TimePoint limit = host_deadline();
        bool next_host = false;
        if (connection_.socket() < 0)
            lose(not_sent(connection_.loss()));
        while (!next_host) {
            if (Target now_at = connection_.target(); now_at != target) {
                target = std::move(now_at);
                limit = host_deadline();
            }
            switch (wait(connection_.socket(), events, std::min(deadline, limit))) {
            case Wait::closed:
                connection_ = {};
                throw Closed();
            case Wait::late:
                if (!route_.pass_over(target) || Clock::now() >= deadline)
                    lose(Error("no answer from the server within connect_timeout",
                               {.connection_lost = true, .retryable = true}));
                next_host = true;
                continue;
            case Wait::ready:
                break;
            }
            const auto status = connection_.poll_connect();
            if (status == PGRES_POLLING_FAILED)
                lose(not_sent(connection_.loss()));
            if (status == PGRES_POLLING_OK) {
                if (!connection_.settle())
                    lose(not_sent(connection_.loss()));
                try {
                    schema_ = schema_prefix(connection_, run(kFindExtension, {}, false, deadline));
                } catch (const Error &error) {
                    if (error.connection_lost())
                        lose(not_sent(error));
                    connection_ = {};
                    throw;
                }
                return;
            }
            events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        }
    }
}

Result Calls::run(const std::string &sql, const Params &params, bool binary, TimePoint deadline) {
    if (!connection_.send(sql, params, binary))
        lose(connection_.loss());
    Result result;
    // The statement commits after it has told its result, so only the end says that it did; an error may follow.
    for (;;) {
        const int left = connection_.flush();
        if (left < 0)
            lose(connection_.loss());
        if (left == 0 && !connection_.busy()) {
            Result next = connection_.result();
            if (!next)
                break;
            if (!result || result.ok())
                result = std::move(next);
            continue;
        }
        const auto waited = wait(connection_.socket(), left > 0 ? POLLIN | POLLOUT : POLLIN, deadline);
        if (waited == Wait::closed) {
            connection_ = {};
            throw Closed();
        }
        if (waited == Wait::late)
            lose(too_late(true));
        if (!connection_.consume() && connection_.busy())
            lose(connection_.loss());  // the end came before the answer
    }
    if (!result || (result.ok() && !connection_.connected()))
        lose(connection_.loss());
    if (result.ok())
        return result;
    const Error error = result.error(false);
    // A session that was ended, or libpq's own words about a lost connection.
    if (!connection_.connected() || error.sqlstate().empty() || error.sqlstate().starts_with("57P0"))
        lose(Error(error.what(), {.sqlstate = error.sqlstate(), .connection_lost = true}));
    throw error;
}

Calls::Wait Calls::wait(int fd, short events, TimePoint deadline) {
    for (;;) {
        pollfd fds[2] = {{fd, events, 0}, {wake_.get(), POLLIN, 0}};
        int timeout = -1;
        if (deadline != TimePoint::max()) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
            timeout = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
        }
        const int ready = ::poll(fds, 2, timeout);
        if (ready < 0 && errno != EINTR)
            throw std::system_error(errno, std::generic_category(), "poll");
        if (closed_.load(std::memory_order_acquire))
            return Wait::closed;
        if (ready > 0 && fds[0].revents != 0)
            return Wait::ready;
        if (deadline != TimePoint::max() && Clock::now() >= deadline)
            return Wait::late;
    }
}

void Calls::lose(Error why) {
    connection_ = {};
    throw why;
}

}  // namespace rill::detail
