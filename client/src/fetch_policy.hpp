// Decisions about the read connection's queries. Pure.
//
// When must a stream be asked again after a fetch? The server shares the caps of one query among its streams and does
// not say which were cut, so this decides from what came.
//
// The server's side of it: every stream with news gets at least one chunk until a total cap is spent; each gets at
// least its equal share of the caps if it has so much.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
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

// May the connection wait in the server? Each chunk ends such a wait, and the next one begins with another call. That
// is the fastest way to hear of a quiet stream; of busy ones it is cheaper to fetch what has gathered. After several
// waits in a row that news ended within a millisecond there are none for a while, which doubles up to a second;
// meanwhile NOTIFY tells of news, or, where there is none, the next wait fetches what has come.
//
// A wait also ends when its own statement comes to the server in two pieces, cut just before or in its last few bytes:
// those are then taken for a sign from the client. Where it is cut depends on the statement's length, and the next one
// would have the same: so it is made longer.
class WaitPolicy {
public:
    using Clock = std::chrono::steady_clock;

    [[nodiscard]] Clock::time_point not_before() const noexcept { return not_before_; }
    // A wait is over. True: there is so much that everything should be fetched now.
    bool ended(Clock::time_point since, Clock::time_point now, bool news, bool listening) noexcept {
        if (news)
            cuts_ = 0;
        if (!news || now - since >= kShort) {
            in_a_row_ = 0;
            rest_ = kFirstRest;
            return false;
        }
        if (++in_a_row_ < kMostInARow)
            return in_a_row_ > 1;
        in_a_row_ = 0;
        not_before_ = now + (listening ? rest_ : kFirstRest);
        rest_ = std::min(rest_ * 2, kLongestRest);
        return true;
    }
    // The server refused to wait. One that cancels waits after some time (statement_timeout) does let us wait until
    // then.
    void refused(Clock::time_point since, Clock::time_point now) noexcept {
        if (now - since < kCancelled)
            not_before_ = now + kRefused;
    }
    // It ended without news, and nobody had asked for that.
    void cut_short(Clock::time_point since, Clock::time_point now) noexcept {
        if (now - since >= kLong) {
            cuts_ = 0;
        } else if (padding_ = (padding_ + kLonger) % kMostLonger; ++cuts_ == kMostCuts) {
            cuts_ = 0;
            not_before_ = now + kRefused;
        }
    }
    // Bytes by which the statement is to be longer than need be.
    [[nodiscard]] std::size_t padding() const noexcept { return padding_; }
    void reset() noexcept { *this = {}; }

private:
    static constexpr std::chrono::milliseconds kShort{1};
    static constexpr std::chrono::milliseconds kLong{30'000};
    static constexpr int kMostCuts = 4;
    static constexpr std::size_t kLonger = 16;
    static constexpr std::size_t kMostLonger = 128;
    static constexpr int kMostInARow = 8;
    static constexpr std::chrono::milliseconds kFirstRest{10};
    static constexpr std::chrono::milliseconds kLongestRest{1'000};
    static constexpr std::chrono::milliseconds kCancelled{100};
    static constexpr std::chrono::milliseconds kRefused{30'000};

    int in_a_row_ = 0;
    int cuts_ = 0;
    std::size_t padding_ = 0;
    std::chrono::milliseconds rest_ = kFirstRest;
    Clock::time_point not_before_{};
};

}  // namespace rill::detail
