// JSON mode: a body is cut into messages, and messages are joined into a body, without printing any of them again, so
// that numbers, escapes and the order of members stay as they were sent.
//
// Pure. Situations it must survive: text that is not JSON or not UTF-8, and arrays nested a million deep (no
// recursion).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rill::serve {

// More than a request may carry. Each is a chunk, which takes more memory than a short message.
constexpr std::size_t kMostMessages = 100'000;

// The messages of a body: of an array its elements, one level deep; of anything else the value itself. White space
// around them is dropped. They point into the body. nullopt: the body is not one JSON value. Of more than kMostMessages
// one more than that is found.
[[nodiscard]] std::optional<std::vector<std::string_view>> json_messages(std::string_view body);

// Begins with "[", puts a comma between messages; the caller adds the closing bracket.
void append_json_message(std::string &array, std::string_view message);

}  // namespace rill::serve
