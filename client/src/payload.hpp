// Parser of the NOTIFY payload on channel pg_rill: `*` ("look at everything") or stream ids joined by commas.
// Pure. Whatever else a payload holds (somebody's own NOTIFY on this channel, a newer server) is not trusted to mean
// nothing: it is taken for `*`, which costs a query and can lose nothing.
#pragma once

#include <charconv>
#include <cstdint>
#include <string_view>

namespace rill::detail {

// Calls id(std::int64_t) for each id. False: look at everything (ids may have been called already).
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
