// Parser of the NOTIFY payload on channel pg_rill: stream ids joined by commas, or `*` for "check every stream". Pure.
// Anything else (a NOTIFY that somebody sent by hand on this channel, a newer server) is treated like `*`: that costs
// one query and can lose nothing.
#pragma once

#include <charconv>
#include <cstdint>
#include <string_view>

namespace rill::detail {

// Calls on_id(std::int64_t) for each id. False: check every stream (on_id may have been called already).
template <typename OnId>
[[nodiscard]] bool parse_payload(std::string_view payload, OnId &&on_id) {
    if (payload.empty())
        return false;
    const char *at = payload.data();
    const char *const end = at + payload.size();
    for (;;) {
        std::int64_t id = 0;
        const auto [stop, error] = std::from_chars(at, end, id);
        if (error != std::errc{} || id <= 0)
            return false;
        on_id(id);
        if (stop == end)
            return true;
        if (*stop != ',')
            return false;
        at = stop + 1;
    }
}

}  // namespace rill::detail
