// Conversion between the server's times and system_clock's. PostgreSQL counts microseconds since 2000-01-01 00:00:00
// UTC, system_clock counts from 1970 in a unit of its own. A time beyond system_clock's range (±infinity among them)
// becomes its first or last. Pure.
#pragma once

#include <chrono>
#include <cstdint>

namespace rill::detail {

inline constexpr std::chrono::microseconds kServerEpoch = std::chrono::seconds(946'684'800);

[[nodiscard]] constexpr std::chrono::system_clock::time_point from_server_time(std::int64_t microseconds) noexcept {
    using System = std::chrono::system_clock;
    // system_clock is 64 bits of a unit no coarser than microseconds, so these bounds do not overflow.
    constexpr auto first = std::chrono::ceil<std::chrono::microseconds>(System::duration::min());
    constexpr auto last = std::chrono::floor<std::chrono::microseconds>(System::duration::max());
    if (microseconds < (first + kServerEpoch).count())
        return System::time_point(first);
    if (microseconds > (last - kServerEpoch).count())
        return System::time_point(last);
    return System::time_point(std::chrono::microseconds(microseconds) + kServerEpoch);
}

[[nodiscard]] constexpr std::int64_t to_server_time(std::chrono::system_clock::time_point time) noexcept {
    return (std::chrono::floor<std::chrono::microseconds>(time.time_since_epoch()) - kServerEpoch).count();
}

}  // namespace rill::detail
