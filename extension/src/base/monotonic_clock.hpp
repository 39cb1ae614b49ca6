// The clock for durations and deadlines. The wall clock (GetCurrentTimestamp) may be set forward or back at any moment,
// by an administrator, by NTP, or when a virtual machine is resumed; a deadline on it then comes at once, or
// hours late. This one only goes forward, at the pace of time. It counts microseconds from an arbitrary start that all
// processes of a machine share, so its values can be compared between processes but not stored on disk.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

inline constexpr int64 kNever = PG_INT64_MAX;

inline int64 monotonic_now() {
    instr_time now;
    INSTR_TIME_SET_CURRENT(now);  // CLOCK_MONOTONIC on every server that this library supports
    return static_cast<int64>(INSTR_TIME_GET_MICROSEC(now));
}

inline int64 milliseconds_after(int64 now, int64 ms) { return now + ms * 1000; }

// For WaitLatch(): how long to sleep until `then`, rounded up so that it is over afterwards, and cut to what
// WaitLatch() takes.
inline long milliseconds_until(int64 now, int64 then) {
    if (then <= now)
        return 0;
    const int64 ms = (then - now) / 1000 + ((then - now) % 1000 != 0 ? 1 : 0);
    return static_cast<long>(Min(ms, static_cast<int64>(INT_MAX)));
}

}  // namespace rill
