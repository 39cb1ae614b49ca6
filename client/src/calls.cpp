// See calls.hpp.
#include "calls.hpp"

#include "extension_schema.hpp"

#include <poll.h>

namespace rill::detail {

Result Calls::call(const std::function<std::string(const std::string &)> &sql, const Params &params, Effect effect,
                   bool binary) {
    const TimePoint deadline = deadline_after(Clock::now(), timeout_);
    const CallPool::Lease connection = pool_.take(deadline);
    int looks = 0;
    for (bool second_try = false;; second_try = true) {
        connection->ensure_connected(deadline);
        try {
            return connection->run(sql(connection->schema()), params, effect, binary, deadline);
        } catch (const Error &error) {
            if (Clock::now() >= deadline)
                throw;
            if (extension_not_found(error) && looks++ < kLooksForExtension)
                connection->disconnect();  // a new session asks where the extension is
            else if (second_try || !error.connection_lost() || !error.retryable())
                throw;
        }
    }
}

void Calls::pause(TimePoint until) const {
    for (TimePoint now = Clock::now(); now < until; now = Clock::now()) {
        pollfd fd{closed_fd_.get(), POLLIN, 0};
        if (::poll(&fd, 1, poll_timeout(until, now)) > 0)
            throw Closed();
    }
}

void Calls::close() noexcept {
    pool_.close();
    closed_fd_.signal();  // and never cleared: every wait, now or later, sees it
}

}  // namespace rill::detail
