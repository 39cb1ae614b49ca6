// The calls of all threads of a client: what is sent, and what is tried again.
//
// A call without effect, and one whose statement was not sent, is tried a second time if its connection turns out to be
// lost. So is one that does not find the extension's functions where they were: the extension may have been dropped and
// made again in another schema, or its schema renamed. Thread-safety: all methods from any thread.
#pragma once

#include "call_pool.hpp"
#include "cancel_request.hpp"
#include "conninfo.hpp"
#include "monotonic.hpp"
#include "pq.hpp"
#include "wake_fd.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

namespace rill::detail {

class Calls {
public:
    // `conninfo` must outlive this object. A timeout of zero is none.
    Calls(const Conninfo &conninfo, std::chrono::milliseconds timeout, std::size_t connections)
        : timeout_(timeout), pool_({conninfo, timeout, closed_fd_, cancels_}, connections) {}

    // Runs one statement and returns its rows; `sql` is given the extension's quoted schema with its dot. Blocks until
    // the answer has come. Throws Error, and Closed after close().
    [[nodiscard]] Result call(const std::function<std::string(const std::string &schema)> &sql, const Params &params,
                              Effect effect, bool binary = true);

    // Blocks until then. Throws Closed after close().
    void pause(TimePoint until) const;

    // Closes connections that have been idle for long. From time to time, by any thread.
    void trim(TimePoint now) noexcept { pool_.trim(now); }

    // Ends calls that are under way, and refuses later ones.
    void close() noexcept;

private:
    const std::chrono::milliseconds timeout_;
    WakeFd closed_fd_;  // readable from close() on
    CancelRequests cancels_;
    CallPool pool_;
};

}  // namespace rill::detail
