// The streams at which retention failed, and when each may be tried again: after a pause that doubles with each
// failure. Pure C++; times are microseconds of the monotonic clock. Full: a further stream is not remembered. It has no
// pause of its own, and note() does not ask to report it. The database itself always has a place.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

namespace rill::core {

struct Failures {
    static constexpr std::int64_t kDatabase = 0;  // in place of a stream: what concerns none of them
    static constexpr std::uint32_t kRoom = 16;
    static constexpr std::int64_t kLongestPause = std::int64_t{3600} * 1000000;
    struct Failure {
        std::int64_t stream;
        std::int64_t retry_at;
        std::uint32_t count;  // 0: free
    };

    std::array<Failure, 1 + kRoom> list;  // the database, streams

    static std::int64_t pause_after(std::uint32_t count, std::int64_t first) {
        return std::min(kLongestPause, first << std::min(count - 1, 16U));
    }

    [[nodiscard]] bool pausing(std::int64_t stream, std::int64_t now) const {
        for (const Failure &failure : list)
            if (failure.count > 0 && failure.stream == stream)
                return now < failure.retry_at;
        return false;
    }

    // Returns whether to report it: the first failure of the stream that is remembered.
    bool note(std::int64_t stream, std::int64_t now, std::int64_t first_pause) {
        Failure *room = nullptr;
        for (Failure &failure : places(stream)) {
            if (failure.count > 0 && failure.stream == stream) {
                ++failure.count;
                failure.retry_at = now + pause_after(failure.count, first_pause);
                return false;
            }
            // One that was not tried again for so long has been deleted.
            if (failure.count == 0 || failure.retry_at < now - 2 * kLongestPause)
                room = &failure;
        }
        if (room != nullptr)
            *room = Failure{stream, now + pause_after(1, first_pause), 1};
        return room != nullptr;
    }

    void succeeded(std::int64_t stream) {
        for (Failure &failure : list)
            if (failure.stream == stream)
                failure.count = 0;
    }

private:
    std::span<Failure> places(std::int64_t stream) {
        return stream == kDatabase ? std::span(list).first(1) : std::span(list).subspan(1);
    }
};

}  // namespace rill::core
