// Text in pieces: where a long body may be cut, and how pieces that were cut inside a character are put together.
//
// Pure. Situations it must survive: bytes that are not UTF-8 at all (each wrong one becomes U+FFFD, as browsers do).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace rill::serve {

// Cuts a body into chunks of at most `size` bytes (4 or more), not inside a character of UTF-8 where there is one.
[[nodiscard]] std::vector<std::string_view> cut_body(std::string_view body, std::size_t size);

// How many bytes at the end of the text are the beginning of a character whose rest is to come: 0 to 3.
[[nodiscard]] std::size_t unfinished_bytes(std::string_view text);

// The text with every byte that belongs to no character replaced by U+FFFD.
[[nodiscard]] std::string valid_utf8(std::string_view text);

}  // namespace rill::serve
