// A place in a stream: the value of `rill tail --from` and of `rill trim --before`. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace rill::cli {

struct From {
    enum class Kind { start, now, last, skip, id, time };
    Kind kind = Kind::last;
    std::int64_t number = 10;  // for last, skip and id
    std::string time{};        // whatever the server accepts as a timestamp with time zone

    friend bool operator==(const From &, const From &) = default;
};

// start, now, last:N, skip:N, id:N or a time. nullopt for an empty value, and for a word with a colon and no number
// from 0 on behind it.
[[nodiscard]] std::optional<From> parse_from(std::string_view text);

// N, last:N or a time, and for N an id. nullopt for an empty value, a negative number, and last: without a number.
[[nodiscard]] std::optional<From> parse_before(std::string_view text);

}  // namespace rill::cli
