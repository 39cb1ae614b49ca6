// What to conclude from the size of an answer to stream_fetch. Pure.
//
// The server shares the limits of one query among its streams and does not say whose chunks were cut off. It gives
// every stream with news at least one chunk until a limit is used up, and each its equal share of the limits if it has
// that much.
#pragma once

#include <algorithm>
#include <cstdint>

namespace rill::detail {

struct FetchPolicy {
    std::uint64_t max_chunks;
    std::uint64_t max_bytes;
    std::uint64_t streams;  // in the query

    // At most how much of the server's byte limit a page has used up: its bytes, and something for each chunk.
    [[nodiscard]] static std::uint64_t cost(std::uint64_t page_bytes, std::uint64_t chunks) noexcept {
        return page_bytes + 32 * chunks;
    }

    // Whether a stream with this page probably has more at once. If not, a large chunk may still have been left out,
    // so that the stream is rechecked later.
    [[nodiscard]] bool probably_cut(std::uint64_t page_cost, std::uint64_t chunks) const noexcept {
        const std::uint64_t n = std::max<std::uint64_t>(streams, 1);
        return chunks + 1 >= std::max<std::uint64_t>(max_chunks / n, 2) || page_cost >= max_bytes / n / 4;
    }

    // Whether streams without a page may have been passed over, because others have used up the limits.
    [[nodiscard]] bool limits_used_up(std::uint64_t total_cost, std::uint64_t total_chunks) const noexcept {
        return total_chunks >= max_chunks || total_cost >= max_bytes;
    }
};

}  // namespace rill::detail
