// The clock for every duration and deadline: it never jumps, whatever happens to the system's time of day.
#pragma once

#include <chrono>

namespace rill::detail {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;

// The deadline `limit` after `now`; a limit of zero is none.
[[nodiscard]] inline TimePoint deadline_after(TimePoint now, std::chrono::milliseconds limit) noexcept {
    return limit.count() == 0 ? TimePoint::max() : now + limit;
}

// The time until `deadline` as poll(2) expects it: rounded up, -1 for no deadline, at most a minute (the caller checks
// the clock again anyway).
[[nodiscard]] inline int poll_timeout(TimePoint deadline, TimePoint now) noexcept {
    if (deadline == TimePoint::max())
        return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now).count();
    constexpr decltype(left) zero = 0;
    constexpr decltype(left) minute = 60'000;
    return static_cast<int>(left < zero ? zero : left > minute ? minute : left);
}

}  // namespace rill::detail
