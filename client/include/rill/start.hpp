// Where a Reader begins.
//
// A cursor is the id of the last chunk already seen; reading goes on with the first chunk behind it. Cursor 0 is the
// beginning of what is retained.
#pragma once

#include <cstdint>
#include <optional>

namespace rill {

/// A cursor, with the epoch of its chunk when that is known: then the server verifies that the chunk it has under this
/// id is the very chunk that was read, and not another one that a promotion or a restore put in its place (RL003).
struct Position {
    std::int64_t id = 0;
    std::optional<std::int32_t> epoch;

    friend bool operator==(const Position &, const Position &) = default;
};

struct Start {
    Position position;
    /// Take the present head of the stream for the position.
    bool at_head = false;
};

/// The first retained chunk.
[[nodiscard]] inline Start from_start() noexcept { return {}; }

/// The chunk behind `id`. Only the bounds of the cursor can be checked.
[[nodiscard]] inline Start after(std::int64_t id) noexcept { return {{id, std::nullopt}, false}; }

/// The chunk behind `id`, which was read with this `epoch`: the server verifies that its history still holds it.
[[nodiscard]] inline Start after(std::int64_t id, std::int32_t epoch) noexcept { return {{id, epoch}, false}; }

/// The same for a stored Reader::position().
[[nodiscard]] inline Start after(const Position &position) noexcept { return {position, false}; }

/// Chunks that become readable after the call of Client::read() returned.
[[nodiscard]] inline Start only_new() noexcept { return {{}, true}; }

}  // namespace rill
