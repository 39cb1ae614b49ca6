// Where a Reader begins.
//
// A cursor is the id of the last chunk already seen: reading continues with the next chunk. Cursor 0 is before the
// first retained chunk. Pure values.
#pragma once

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

struct Start {
    Position position;
    /// Begin at the stream's present head instead.
    bool at_head = false;
};

/// With the first retained chunk.
[[nodiscard]] inline Start from_start() noexcept { return {}; }

/// With the chunk after `id`. Without the epoch only the range of the cursor can be checked.
[[nodiscard]] inline Start after(std::int64_t id) noexcept { return {{id, std::nullopt}, false}; }

/// With the chunk after `id`, which was read with this `epoch`: the server verifies that its history contains it.
[[nodiscard]] inline Start after(std::int64_t id, std::int32_t epoch) noexcept { return {{id, epoch}, false}; }

/// The same for a saved Reader::position().
[[nodiscard]] inline Start after(const Position &position) noexcept { return {position, false}; }

/// With the first chunk that becomes readable after Client::read() has returned.
[[nodiscard]] inline Start only_new() noexcept { return {{}, true}; }

}  // namespace rill
