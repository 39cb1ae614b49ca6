// How long to wait before the next attempt to connect: doubling up to a cap, and half of it random, so that the clients
// of a server that came back neither arrive all at once nor hammer it. Pure: the caller supplies the random number.
// Thread-safety: one thread at a time.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace rill::detail {

class Backoff {
public:
    using Duration = std::chrono::milliseconds;

    Backoff(Duration first, Duration cap) noexcept : first_(first), cap_(std::max(first, cap)), next_(first) {}

    // The wait before the next attempt: between half of the step and all of it. `random` returns uniform 64-bit (or
    // narrower) numbers.
    template <typename Random>
    [[nodiscard]] Duration take(Random &&random) noexcept {
        const auto step = next_;
        next_ = step > cap_ / 2 ? cap_ : step * 2;
        const auto half = step / 2;
        const auto span = static_cast<std::uint64_t>((step - half).count()) + 1;
        return half + Duration(static_cast<Duration::rep>(static_cast<std::uint64_t>(random()) % span));
    }

    // A connection has proved useful: the next failure starts again with the shortest wait.
    void reset() noexcept { next_ = first_; }

private:
    Duration first_;
    Duration cap_;
    Duration next_;
};

}  // namespace rill::detail
