// See text_pieces.hpp.
#include "text_pieces.hpp"

#include <algorithm>

namespace rill::serve {
namespace {

unsigned byte_at(std::string_view text, std::size_t at) { return static_cast<unsigned char>(text[at]); }

// The length of the character that this byte begins; 0 if none can begin so.
std::size_t announced_length(unsigned first) {
    if (first < 0x80)
        return 1;
    if (first >= 0xC2 && first <= 0xDF)
        return 2;
    if (first >= 0xE0 && first <= 0xEF)
        return 3;
    return first >= 0xF0 && first <= 0xF4 ? 4 : 0;
}

// The range of the second byte excludes overlong forms, surrogates, and what lies above U+10FFFF.
bool may_follow(unsigned first, std::size_t index, unsigned byte) {
    if (index > 1 || (first != 0xE0 && first != 0xED && first != 0xF0 && first != 0xF4))
        return byte >= 0x80 && byte <= 0xBF;
    const unsigned low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    const unsigned high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    return byte >= low && byte <= high;
}

// How many bytes from `at` on are a character or, at the end of the text, the beginning of one.
std::size_t matching_bytes(std::string_view text, std::size_t at, std::size_t length) {
    const unsigned first = byte_at(text, at);
    std::size_t count = 1;
    while (count < length && at + count < text.size() && may_follow(first, count, byte_at(text, at + count)))
        ++count;
    return count;
}

}  // namespace

std::vector<std::string_view> cut_body(std::string_view body, std::size_t size) {
    std::vector<std::string_view> pieces;
    while (body.size() > size) {
        const std::string_view piece = body.substr(0, size);
        pieces.push_back(piece.substr(0, size - unfinished_bytes(piece)));
        body.remove_prefix(pieces.back().size());
    }
    if (!body.empty())
        pieces.push_back(body);
    return pieces;
}

std::size_t unfinished_bytes(std::string_view text) {
    for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); ++back) {
        const std::size_t at = text.size() - back;
        const std::size_t length = announced_length(byte_at(text, at));
        if (length > back)
            return matching_bytes(text, at, length) == back ? back : 0;
        if (length != 0)
            return 0;
    }
    return 0;
}

std::string valid_utf8(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t length = announced_length(byte_at(text, at));
        const std::size_t count = length == 0 ? 1 : matching_bytes(text, at, length);
        if (count == length)
            out.append(text.substr(at, count));
        else
            out.append("\xEF\xBF\xBD");
        at += count;
    }
    return out;
}

}  // namespace rill::serve
