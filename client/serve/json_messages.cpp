// See json_messages.hpp.
#include "json_messages.hpp"

#include <cstddef>

#include <nlohmann/json.hpp>

namespace rill::serve {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && is_space(text.front()))
        text.remove_prefix(1);
    while (!text.empty() && is_space(text.back()))
        text.remove_suffix(1);
    return text;
}

// The elements of an array that is known to be valid.
std::vector<std::string_view> elements(std::string_view array) {
    std::vector<std::string_view> found;
    std::size_t depth = 0;
    std::size_t begin = 1;
    bool in_string = false;
    const auto take = [&](std::size_t end) {
        const std::string_view element = trimmed(array.substr(begin, end - begin));
        if (!element.empty())
            found.push_back(element);
        begin = end + 1;
    };
    for (std::size_t at = 0; at < array.size() && found.size() <= kMostMessages; ++at) {
        const char c = array[at];
        if (in_string) {
            if (c == '\\')
                ++at;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            ++depth;
        } else if (c == ']' || c == '}') {
            if (--depth == 0)
                take(at);
        } else if (c == ',' && depth == 1) {
            take(at);
        }
    }
    return found;
}

}  // namespace

std::optional<std::vector<std::string_view>> json_messages(std::string_view body) {
    const std::string_view value = trimmed(body);
    // The parser takes a byte order mark at the beginning, which a reader in the middle of an array would not.
    if (value.starts_with("\xEF\xBB\xBF") || !nlohmann::json::accept(value.begin(), value.end()))
        return std::nullopt;
    if (value.front() == '[')
        return elements(value);
    return std::vector<std::string_view>{value};
}

void append_json_message(std::string &array, std::string_view message) {
    array += array.empty() ? '[' : ',';
    array.append(message);
}

}  // namespace rill::serve
