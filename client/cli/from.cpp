// See from.hpp.
#include "from.hpp"

#include <charconv>

namespace rill::cli {
namespace {

std::optional<std::int64_t> number(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < 0)
        return std::nullopt;
    return value;
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
                                       std::pair<std::string_view, From::Kind>{"id:", From::Kind::id}}) {
        if (!text.starts_with(prefix))
            continue;
        const auto value = number(text.substr(prefix.size()));
        if (!value)
            return std::nullopt;
        return From{.kind = kind, .number = *value};
    }
    return From{.kind = From::Kind::time, .number = 0, .time = std::string(text)};
}

}  // namespace rill::cli
