// The parts of a request as values: paths, query parameters and header fields.
//
// Pure. All of it comes from the network: what is malformed is nullopt, which a handler answers with 400.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rill::serve {

// "%2F" and so on. A plus sign stays one.
[[nodiscard]] std::optional<std::string> percent_decoded(std::string_view text);

// The values of one query parameter, decoded, in their order. nullopt when one cannot be decoded.
[[nodiscard]] std::optional<std::vector<std::string>> query_values(std::string_view query, std::string_view name);

// Decimal digits alone, 0 to 2^53 - 1, which is what JavaScript can hold. Leading zeros are allowed.
[[nodiscard]] std::optional<std::int64_t> safe_integer(std::string_view text);

// A Stream-TTL: the same without leading zeros, at most 5000 years of seconds.
[[nodiscard]] std::optional<std::int64_t> ttl_seconds(std::string_view text);

// RFC 3339: "2027-01-01T00:00:00.5Z", "2027-01-01T01:00:00+01:00". Digits beyond microseconds are dropped.
[[nodiscard]] std::optional<std::chrono::system_clock::time_point> rfc3339(std::string_view text);

// "Text/Plain; charset=utf-8" is "text/plain".
[[nodiscard]] std::string media_type(std::string_view content_type);

// type/subtype and parameters of characters that a header can carry.
[[nodiscard]] bool is_content_type(std::string_view text);

// Stream-Closed: only "true" counts, in any case.
[[nodiscard]] bool is_true(std::optional<std::string_view> text);

// If-None-Match: "*", or a list of tags that contains this one, weak or not.
[[nodiscard]] bool matches_tag(std::string_view if_none_match, std::string_view etag);

// Stream-Cursor: the number of the 20-second interval since 2024-10-09, and always above the client's own, by a part of
// an hour chosen by `random`, so that a cache between us never answers a client from its own past.
[[nodiscard]] std::string next_cursor(std::string_view client_cursor, std::chrono::system_clock::time_point now,
                                      std::uint32_t random);

}  // namespace rill::serve
