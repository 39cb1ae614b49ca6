// The value of `rill tail --from`: start, now, last:N, id:N or a time. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace rill::cli {

struct From {
    enum class Kind { start, now, last, id, time };
    Kind kind = Kind::last;
    std::int64_t number = 10;  // for last and id
    std::string time{};        // whatever the server accepts as a timestamp with time zone

    friend bool operator==(const From &, const From &) = default;
};

// nullopt for an empty value, and for `last:` and `id:` without a number from 0 on.
[[nodiscard]] std::optional<From> parse_from(std::string_view text);

}  // namespace rill::cli
