// The protocol's offsets: the position behind a chunk, as a token whose order as text is the order in the stream.
//
// "iiiiiiiiiiiiiiii_eeeeeeeeeeeeeeee", lower-case hexadecimal: the chunk's id, and 2^32 + its epoch. The epoch makes
// the server verify that the chunk is still the one that was read (a promotion may have lost it); where it is not
// known, behind a chunk that was trimmed, the second half is 0 and only the range is checked. The beginning of a stream
// that never held a chunk is all zeros, which is the protocol's own form of offset zero.
//
// Pure. A malformed token is an answer, never undefined: it comes from the network.
#pragma once

#include "rill/start.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace rill::serve {

[[nodiscard]] std::string encode_offset(const Position &position);

// nullopt: this server never made such a token.
[[nodiscard]] std::optional<Position> decode_offset(std::string_view token);

}  // namespace rill::serve
