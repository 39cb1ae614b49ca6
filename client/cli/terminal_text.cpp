// See terminal_text.hpp.
#include "terminal_text.hpp"

#include "utf8.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cwchar>
#include <iterator>
#include <utility>

#include <locale.h>

namespace rill::cli {
namespace {

constexpr std::pair<char32_t, char32_t> kInvisible[] = {
    {0x00, 0x1f},       {0x7f, 0x9f},      // C0, DEL, C1
    {0xad, 0xad},       {0x61c, 0x61c},    // soft hyphen; Arabic letter mark
    {0x180e, 0x180e},                      // Mongolian vowel separator
    {0x200b, 0x200b},                      // zero width space; the joiners beside it have uses in names
    {0x200e, 0x200f},                      // left-to-right and right-to-left marks
    {0x2028, 0x202e},                      // line and paragraph separators; embeddings and overrides
    {0x2060, 0x206f},                      // invisible operators, isolates
    {0xfeff, 0xfeff},   {0xfff9, 0xfffb},  // byte order mark; interlinear annotations
    {0xe0000, 0xe0fff},                    // tags
};

bool is_invisible(char32_t code) {
    return std::ranges::any_of(kInvisible,
                               [code](const auto &range) { return code >= range.first && code <= range.second; });
}

void append_escaped(std::string &out, char32_t code) {
    std::array<char, 12> escaped{};
    const char *const format = code < 0x80 ? "\\x%02x" : code < 0x10000 ? "\\u%04x" : "\\U%08x";
    std::snprintf(escaped.data(), escaped.size(), format, static_cast<unsigned>(code));
    out += escaped.data();
}

// wcwidth() knows only the characters of the thread's locale, which may be "C".
int width_of(char32_t code) {
    static const locale_t utf8 = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    const locale_t before = utf8 == nullptr ? nullptr : ::uselocale(utf8);
    const int width = ::wcwidth(static_cast<wchar_t>(code));
    if (before != nullptr)
        ::uselocale(before);
    return width < 0 ? 1 : width;
}

// Calls each(bytes of a character, its columns) until that returns false.
template <typename Each>
void for_each_character(std::string_view text, Each &&each) {
    for (std::size_t at = 0; at < text.size();) {
        const Character character = decode(text, at);
        const std::size_t length = std::max<std::size_t>(character.length, 1);
        const int width = character.length == 0 ? 1 : width_of(character.code);
        if (!each(text.substr(at, length), static_cast<std::size_t>(width)))
            return;
        at += length;
    }
}

}  // namespace

std::string printable(std::string_view text, Charset charset) {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        const Character character = decode(text, at);
        if (character.length == 0) {
            std::array<char, 5> escaped{};
            std::snprintf(escaped.data(), escaped.size(), "\\x%02x", static_cast<unsigned char>(text[at]));
            out += escaped.data();
            ++at;
            continue;
        }
        if (is_invisible(character.code) || (charset == Charset::ascii && character.code >= 0x80))
            append_escaped(out, character.code);
        else
            out.append(text.substr(at, character.length));
        at += character.length;
    }
    return out;
}

std::size_t columns(std::string_view text) {
    std::size_t sum = 0;
    for_each_character(text, [&](std::string_view, std::size_t width) {
        sum += width;
        return true;
    });
    return sum;
}

std::string fitted(std::string_view text, std::size_t width, Charset charset) {
    const std::size_t needed = columns(text);
    if (needed <= width)
        return std::string(text) + std::string(width - needed, ' ');
    if (width == 0)
        return {};
    std::string out;
    std::size_t used = 0;
    for_each_character(text, [&](std::string_view character, std::size_t more) {
        if (used + more > width - 1)
            return false;
        out += character;
        used += more;
        return true;
    });
    out += charset == Charset::ascii ? "~" : "\u2026";
    return out + std::string(width - used - 1, ' ');
}

}  // namespace rill::cli
