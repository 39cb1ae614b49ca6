// See from.hpp.
#include "from.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace rill::cli {
namespace {

std::optional<std::int64_t> number(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < 0)
        return std::nullopt;
    return value;
}

std::optional<From> numbered(From::Kind kind, std::string_view text) {
    const auto value = number(text);
    if (!value)
        return std::nullopt;
    return From{.kind = kind, .number = *value};
}

}  // namespace

std::optional<From> parse_from(std::string_view text) {
    if (text.empty())
        return std::nullopt;
    if (text == "start")
        return From{.kind = From::Kind::start, .number = 0};
    if (text == "now")
        return From{.kind = From::Kind::now, .number = 0};
    for (const auto &[prefix, kind] : {std::pair<std::string_view, From::Kind>{"last:", From::Kind::last},
                                       std::pair<std::string_view, From::Kind>{"skip:", From::Kind::skip},
                                       std::pair<std::string_view, From::Kind>{"id:", From::Kind::id}})
        if (text.starts_with(prefix))
            return numbered(kind, text.substr(prefix.size()));
    return From{.kind = From::Kind::time, .number = 0, .time = std::string(text)};
}

std::optional<From> parse_before(std::string_view text) {
    constexpr std::string_view last = "last:";
    if (text.empty())
        return std::nullopt;
    if (text.starts_with(last))
        return numbered(From::Kind::last, text.substr(last.size()));
    const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
    if (!digits.empty() && std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; }))
        return numbered(From::Kind::id, text);
    return From{.kind = From::Kind::time, .number = 0, .time = std::string(text)};
}

}  // namespace rill::cli
