// See calls.hpp.
#include "calls.hpp"

namespace rill::detail {

// The right to use the connection. Waiting threads get it in whatever order the operating system wakes them.
class Calls::Turn {
public:
    Turn(Calls &calls, TimePoint deadline) : calls_(calls) {
        std::unique_lock lock(calls.mutex_);
        const auto may_go = [&] { return !calls.taken_ || calls.closed_; };
        if (deadline == TimePoint::max())
            calls.free_.wait(lock, may_go);
        else if (!calls.free_.wait_until(lock, deadline, may_go))
            throw call_timed_out(false);
        if (calls.closed_)
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
    const TimePoint deadline = deadline_after(Clock::now(), timeout_);
    const Turn turn(*this, deadline);
    for (bool second_try = false;; second_try = true) {
        connection_.ensure_connected(deadline);
        try {
            return connection_.run(sql(connection_.schema()), params, binary, deadline);
        } catch (const Error &error) {
            if (!error.connection_lost() || effect == Effect::writes || second_try || Clock::now() >= deadline)
                throw;
        }
    }
}

void Calls::close() noexcept {
    {
        const std::scoped_lock lock(mutex_);
        closed_ = true;
    }
    free_.notify_all();
    closed_fd_.signal();  // and never cleared: every wait, now or later, sees it
}

}  // namespace rill::detail
