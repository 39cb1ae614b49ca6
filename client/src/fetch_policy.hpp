// When must a stream be asked again after a fetch? The server shares the caps of one query among its streams and does
// not say which were cut, so this decides from what came. Pure.
//
// The server's side of it: every stream with news gets at least one chunk until a total cap is spent; each gets at
// least its equal share of the caps if it has so much.
#pragma once

#include <algorithm>
#include <cstdint>

namespace rill::detail {

struct FetchPolicy {
    std::uint64_t max_chunks;
    std::uint64_t max_bytes;
    std::uint64_t streams;  // in the query

    // What a page may have cost the server's cap at most: its bytes, and something for each chunk.
    [[nodiscard]] static std::uint64_t cost(std::uint64_t page_bytes, std::uint64_t chunks) noexcept {
        return page_bytes + 32 * chunks;
    }

    // After a page of a stream: there may well be more at once. If not, more is unlikely, but a large chunk may have
    // been left out: worth a look when there is time.
    [[nodiscard]] bool cut(std::uint64_t page_cost, std::uint64_t chunks) const noexcept {
        const std::uint64_t n = std::max<std::uint64_t>(streams, 1);
        return chunks + 1 >= std::max<std::uint64_t>(max_chunks / n, 2) || page_cost >= max_bytes / n / 4;
    }

    // Streams that gave no page may have been passed over because others had used up the caps.
    [[nodiscard]] bool spent(std::uint64_t total_cost, std::uint64_t total_chunks) const noexcept {
        return total_chunks >= max_chunks || total_cost >= max_bytes;
    }
};

// How many streams go into a query. All of them, as a rule; fewer while so much comes that it is handed out in many
// rounds (each round would repeat all the names), or while one of them makes the query fail and has to be found.
class BatchSize {
public:
    static constexpr std::uint64_t kMost = 200'000;

    [[nodiscard]] std::uint64_t limit() const noexcept { return limit_; }
    void served(bool spent, std::uint64_t pages) noexcept {
        limit_ = spent ? std::max<std::uint64_t>(256, pages * 4) : limit_ * 2;
        limit_ = std::min(limit_, kMost);
    }
    void failed(std::uint64_t streams) noexcept { limit_ = std::max<std::uint64_t>(1, streams / 2); }
    void idle() noexcept { limit_ = kMost; }

private:
    std::uint64_t limit_ = kMost;
};

}  // namespace rill::detail
