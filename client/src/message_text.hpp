// Messages as one line. Pure.
//
// libpq's own messages have a line for each host that it tried, each with an optional line behind a tab that asks what
// may be wrong, and a newline at the end. A server's messages quote names, which may hold any character but zero.
#pragma once

#include <string>
#include <string_view>

namespace rill::detail {

// A server's message: newlines and tabs become spaces.
[[nodiscard]] inline std::string one_line(std::string_view message) {
    std::string out;
    for (const char c : message) {
        if (c != '\n' && c != '\t')
            out += c;
        else if (!out.empty() && out.back() != ' ')
            out += ' ';
    }
    while (!out.empty() && out.back() == ' ')
        out.pop_back();
    return out;
}

// libpq's message: "cannot connect\n\tIs it running?\nsame for the next host\n" becomes
// "cannot connect (Is it running?); same for the next host".
[[nodiscard]] inline std::string joined_lines(std::string_view message) {
    std::string out;
    while (!message.empty()) {
        const std::size_t end = message.find('\n');
        const std::string_view line = message.substr(0, end);
        message.remove_prefix(end == std::string_view::npos ? message.size() : end + 1);
        std::string text = one_line(line);
        text.erase(0, text.find_first_not_of(' '));
        if (text.empty())
            continue;
        if (out.empty())
            out = text;
        else if (line.starts_with('\t'))
            out.append(" (").append(text).append(")");
        else
            out.append("; ").append(text);
    }
    return out;
}

}  // namespace rill::detail
