// See access_log.hpp.
#include "access_log.hpp"

#include <array>
#include <cstdio>
#include <ctime>

namespace rill::serve {
namespace {

constexpr std::size_t kLongestTarget = 1024;
constexpr std::size_t kLongestOther = 192;  // a role of 63 bytes, all of them encoded, and more

std::string utc(std::chrono::system_clock::time_point time) {
    const auto since = std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch());
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
    const std::time_t whole = seconds.count();
    std::tm fields{};
    (void) ::gmtime_r(&whole, &fields);
    std::array<char, 32> text{};
    const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &fields);
    std::array<char, 8> rest{};
    (void) std::snprintf(rest.data(), rest.size(), ".%03dZ", static_cast<int>((since - seconds).count()));
    return std::string(text.data(), size) + rest.data();
}

}  // namespace

std::string log_field(std::string_view text, std::size_t longest, std::string_view also) {
    if (text.empty())
        return "-";
    std::string field;
    for (const char c : text) {
        const bool plain = c > ' ' && c <= '~' && also.find(c) == std::string_view::npos;
        if (field.size() + (plain ? 1 : 3) > longest)
            return field + "...";
        const auto byte = static_cast<unsigned char>(c);
        if (plain)
            field += c;
        else
            field.append({'%', "0123456789ABCDEF"[byte >> 4U], "0123456789ABCDEF"[byte & 15U]});
    }
    return field;
}

std::string access_line(const AccessEntry &entry) {
    std::string line = utc(entry.time);
    const auto add = [&line](std::string_view field) { line.append(" ").append(field); };
    add(log_field(entry.remote, kLongestOther));
    // A name, not sent in any encoding: its per cent signs and a role that is called "-" are encoded, too.
    add(log_field(entry.role, kLongestOther, entry.role == "-" ? "-" : "%"));
    add(log_field(entry.method, kLongestOther));
    add(log_field(entry.target, kLongestTarget));
    add(entry.status == 0 ? "-" : std::to_string(entry.status));
    add(std::to_string(entry.bytes));
    add(std::to_string(entry.duration.count()));
    return line + "\n";
}

}  // namespace rill::serve
