// How many streams go into one query. All of them, as a rule, up to a number that the server goes through in a few
// hundredths of a second: the next query waits for this one, and must not take its length for silence. Fewer while so
// much comes that it takes many rounds (each would repeat all the names), and while one stream makes the query fail and
// has to be found by halving. Pure.
#pragma once

#include <algorithm>
#include <cstdint>

namespace rill::detail {

class BatchSize {
public:
    static constexpr std::uint64_t kMost = 10'000;

    [[nodiscard]] std::uint64_t limit() const noexcept { return limit_; }
    void succeeded(bool left_out, std::uint64_t pages) noexcept {
        limit_ = left_out ? std::max<std::uint64_t>(256, pages * 4) : limit_ * 2;
        limit_ = std::min(limit_, kMost);
    }
    void failed(std::uint64_t streams) noexcept { limit_ = std::max<std::uint64_t>(1, streams / 2); }
    void reset() noexcept { limit_ = kMost; }

private:
    std::uint64_t limit_ = kMost;
};

}  // namespace rill::detail
