// See fields.hpp.
#include "fields.hpp"

#include <algorithm>
#include <charconv>

namespace rill::serve {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
        text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
        text.remove_suffix(1);
    return text;
}

std::optional<unsigned> hex_digit(char c) {
    if (is_digit(c))
        return static_cast<unsigned>(c - '0');
    c = lower(c);
    if (c >= 'a' && c <= 'f')
        return static_cast<unsigned>(c - 'a' + 10);
    return std::nullopt;
}

// Takes `count` digits from the front.
std::optional<int> take_number(std::string_view &text, std::size_t count) {
    if (text.size() < count || !std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(count), is_digit))
        return std::nullopt;
    int value = 0;
    for (const char c : text.substr(0, count))
        value = value * 10 + (c - '0');
    text.remove_prefix(count);
    return value;
}

bool take(std::string_view &text, char wanted) {
    if (text.empty() || (text.front() != wanted && lower(text.front()) != wanted))
        return false;
    text.remove_prefix(1);
    return true;
}

// Z, +hh:mm or -hh:mm, which must be all that is left.
std::optional<std::chrono::minutes> take_zone(std::string_view text) {
    if (text == "Z" || text == "z")
        return std::chrono::minutes(0);
    const bool minus = take(text, '-');
    if (!minus && !take(text, '+'))
        return std::nullopt;
    const auto hours = take_number(text, 2);
    if (!hours || !take(text, ':'))
        return std::nullopt;
    const auto minutes = take_number(text, 2);
    if (!minutes || !text.empty() || *hours > 23 || *minutes > 59)
        return std::nullopt;
    const std::chrono::minutes zone(*hours * 60 + *minutes);
    return minus ? -zone : zone;
}

// Of a fraction behind the point.
std::optional<std::chrono::microseconds> take_fraction(std::string_view &text) {
    std::int64_t micros = 0;
    std::int64_t scale = 100'000;
    std::size_t digits = 0;
    while (!text.empty() && is_digit(text.front())) {
        micros += scale * (text.front() - '0');
        scale /= 10;
        ++digits;
        text.remove_prefix(1);
    }
    if (digits == 0)
        return std::nullopt;
    return std::chrono::microseconds(micros);
}

// RFC 9110's token characters.
bool is_token(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') ||
               std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
    });
}

}  // namespace

std::optional<std::string> percent_decoded(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '%') {
            out += text[at];
            continue;
        }
        if (at + 2 >= text.size())
            return std::nullopt;
        const auto high = hex_digit(text[at + 1]);
        const auto low = hex_digit(text[at + 2]);
        if (!high || !low)
            return std::nullopt;
        out += static_cast<char>(*high << 4U | *low);
        at += 2;
    }
    return out;
}

std::optional<std::vector<std::string>> query_values(std::string_view query, std::string_view name) {
    std::vector<std::string> values;
    while (!query.empty()) {
        const std::size_t end = std::min(query.find('&'), query.size());
        const std::string_view pair = query.substr(0, end);
        query.remove_prefix(std::min(end + 1, query.size()));
        const std::size_t equals = std::min(pair.find('='), pair.size());
        const auto key = percent_decoded(pair.substr(0, equals));
        if (!key)
            return std::nullopt;
        if (*key != name)
            continue;
        auto value = percent_decoded(pair.substr(std::min(equals + 1, pair.size())));
        if (!value)
            return std::nullopt;
        values.push_back(std::move(*value));
    }
    return values;
}

std::optional<std::int64_t> safe_integer(std::string_view text) {
    constexpr std::int64_t kMax = (std::int64_t{1} << 53) - 1;
    if (text.empty() || !std::ranges::all_of(text, is_digit))
        return std::nullopt;
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || value > kMax)
        return std::nullopt;
    return value;
}

std::optional<std::int64_t> ttl_seconds(std::string_view text) {
    constexpr std::int64_t kMax = std::int64_t{5000} * 365 * 86'400;
    const auto value = safe_integer(text);
    if (!value || *value > kMax || (text.size() > 1 && text.front() == '0'))
        return std::nullopt;
    return value;
}

std::optional<std::chrono::system_clock::time_point> rfc3339(std::string_view text) {
    using namespace std::chrono;
    const auto y = take_number(text, 4);
    if (!y || !take(text, '-'))
        return std::nullopt;
    const auto mon = take_number(text, 2);
    if (!mon || !take(text, '-'))
        return std::nullopt;
    const auto d = take_number(text, 2);
    if (!d || (!take(text, 't') && !take(text, ' ')))
        return std::nullopt;
    const auto h = take_number(text, 2);
    if (!h || !take(text, ':'))
        return std::nullopt;
    const auto min = take_number(text, 2);
    if (!min || !take(text, ':'))
        return std::nullopt;
    const auto s = take_number(text, 2);
    if (!s)
        return std::nullopt;
    microseconds fraction{0};
    if (take(text, '.')) {
        const auto taken = take_fraction(text);
        if (!taken)
            return std::nullopt;
        fraction = *taken;
    }
    const auto zone = take_zone(text);
    const year_month_day date(year(*y), month(static_cast<unsigned>(*mon)), day(static_cast<unsigned>(*d)));
    // A leap second counts as the next one.
    if (!zone || !date.ok() || *h > 23 || *min > 59 || *s > 60)
        return std::nullopt;
    // system_clock's nanoseconds begin in 1677 and end in 2262.
    if (*y < 1678 || *y > 2261)
        return std::nullopt;
    return system_clock::time_point(duration_cast<system_clock::duration>(
        sys_days(date).time_since_epoch() + hours(*h) + minutes(*min) + seconds(*s) + fraction - *zone));
}

std::string media_type(std::string_view content_type) {
    std::string type(trimmed(content_type.substr(0, content_type.find(';'))));
    std::ranges::transform(type, type.begin(), lower);
    return type;
}

bool is_content_type(std::string_view text) {
    const std::string_view type = trimmed(text.substr(0, text.find(';')));
    const std::size_t slash = type.find('/');
    return slash != std::string_view::npos && is_token(type.substr(0, slash)) && is_token(type.substr(slash + 1)) &&
           text.size() <= 1024 && std::ranges::all_of(text, [](char c) { return c == '\t' || (c >= ' ' && c <= '~'); });
}

bool is_true(std::optional<std::string_view> text) {
    return text && std::ranges::equal(*text, std::string_view("true"), {}, lower);
}

bool matches_tag(std::string_view if_none_match, std::string_view etag) {
    while (!if_none_match.empty()) {
        const std::size_t end = std::min(if_none_match.find(','), if_none_match.size());
        std::string_view tag = trimmed(if_none_match.substr(0, end));
        if (tag.starts_with("W/"))
            tag.remove_prefix(2);
        if (tag == etag || tag == "*")
            return true;
        if_none_match.remove_prefix(std::min(end + 1, if_none_match.size()));
    }
    return false;
}

std::string next_cursor(std::string_view client_cursor, std::chrono::system_clock::time_point now,
                        std::uint32_t random) {
    using namespace std::chrono;
    constexpr std::int64_t kInterval = 20;
    constexpr sys_days kBegin = year(2024) / 10 / 9;
    const std::int64_t current = duration_cast<seconds>(now - kBegin).count() / kInterval;
    const auto own = safe_integer(client_cursor);
    if (!own || *own < current)
        return std::to_string(current);
    const std::int64_t jitter = 1 + random % 3600;
    return std::to_string(*own + std::max<std::int64_t>(1, jitter / kInterval));
}

}  // namespace rill::serve
