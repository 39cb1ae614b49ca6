// See offset.hpp.
#include "offset.hpp"

#include <cstdint>

namespace rill::serve {
namespace {

constexpr std::size_t kDigits = 16;
constexpr std::uint64_t kEpochKnown = std::uint64_t{1} << 32;

void append_hex(std::string &out, std::uint64_t value) {
    for (int shift = 60; shift >= 0; shift -= 4)
        out += "0123456789abcdef"[(value >> shift) & 15U];
}

std::optional<std::uint64_t> parse_hex(std::string_view digits) {
    std::uint64_t value = 0;
    for (const char c : digits) {
        const bool decimal = c >= '0' && c <= '9';
        if (!decimal && (c < 'a' || c > 'f'))
            return std::nullopt;
        value = value << 4U | static_cast<std::uint64_t>(decimal ? c - '0' : c - 'a' + 10);
    }
    return value;
}

}  // namespace

std::string encode_offset(const Position &position) {
    std::string token;
    token.reserve(2 * kDigits + 1);
    append_hex(token, static_cast<std::uint64_t>(position.id));
    token += '_';
    const bool known = position.id != 0 && position.epoch;
    append_hex(token, known ? kEpochKnown | static_cast<std::uint32_t>(*position.epoch) : 0);
    return token;
}

std::optional<Position> decode_offset(std::string_view token) {
    if (token.size() != 2 * kDigits + 1 || token[kDigits] != '_')
        return std::nullopt;
    const auto id = parse_hex(token.substr(0, kDigits));
    const auto epoch = parse_hex(token.substr(kDigits + 1));
    if (!id || !epoch || *id > INT64_MAX || *epoch >= 2 * kEpochKnown || (*epoch != 0 && *epoch < kEpochKnown) ||
        (*id == 0 && *epoch != 0))
        return std::nullopt;
    Position position{.id = static_cast<std::int64_t>(*id), .epoch = std::nullopt};
    if (*epoch != 0)
        position.epoch = static_cast<std::int32_t>(static_cast<std::uint32_t>(*epoch));
    return position;
}

}  // namespace rill::serve
