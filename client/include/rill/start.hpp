// Where a Reader begins.
//
// A cursor is the id of the last chunk already seen: reading continues with the next chunk. Cursor 0 is before the
// first retained chunk. Pure values.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace rill {

/// A cursor, with the epoch of its chunk if that is known. Then the server verifies that the chunk with this id is the
/// one that was read, and not another that a promotion or a restore put in its place (RL003).
struct Position {
    std::int64_t id = 0;
    std::optional<std::int32_t> epoch;

    friend bool operator==(const Position &, const Position &) = default;
};

/// Made by the functions below.
struct Start {
    enum class Kind { cursor, skip, last, since, only_new };
    Kind kind = Kind::cursor;
    Position position{};                            ///< for cursor
    std::int64_t count = 0;                         ///< for skip and last
    std::chrono::system_clock::time_point since{};  ///< for since
};

/// With the first retained chunk.
[[nodiscard]] inline Start from_start() noexcept { return {}; }

/// With the chunk after `id`. Without the epoch only the range of the cursor can be checked.
[[nodiscard]] inline Start after(std::int64_t id) noexcept { return {.position = {id, std::nullopt}}; }

/// With the chunk after `id`, which was read with this `epoch`: the server verifies that its history contains it.
[[nodiscard]] inline Start after(std::int64_t id, std::int32_t epoch) noexcept { return {.position = {id, epoch}}; }

/// The same for a saved Reader::position().
[[nodiscard]] inline Start after(const Position &position) noexcept { return {.position = position}; }

// The following ask the server where that is: Client::read() then blocks and throws like Client::head().

/// Behind the first `count` retained data chunks. If there are not so many yet, those that are still to come are
/// skipped until there are. An EOF with data is not skipped. Negative: Error 22023.
[[nodiscard]] inline Start skip(std::int64_t count) noexcept { return {.kind = Start::Kind::skip, .count = count}; }

/// With the last `count` data chunks, or all if there are fewer. 0 is only_new(). Negative: Error 22023.
[[nodiscard]] inline Start last(std::int64_t count) noexcept { return {.kind = Start::Kind::last, .count = count}; }

/// With the first chunk that was appended at or after `time`, by the server's clock. A time to come is waited for:
/// chunks appended before it are skipped. An EOF with data is not skipped.
[[nodiscard]] inline Start since(std::chrono::system_clock::time_point time) noexcept {
    return {.kind = Start::Kind::since, .since = time};
}

/// With the first chunk that becomes readable after Client::read() has returned.
[[nodiscard]] inline Start only_new() noexcept { return {.kind = Start::Kind::only_new}; }

}  // namespace rill
