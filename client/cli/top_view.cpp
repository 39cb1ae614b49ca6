// See top_view.hpp.
#include "top_view.hpp"

#include "table.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <tuple>

namespace rill::cli {
namespace {

// Below these widths some columns are left out.
constexpr std::size_t kNarrow = 60;
constexpr std::size_t kTiny = 30;

std::string format(const char *pattern, double value) {
    std::array<char, 48> text{};
    std::snprintf(text.data(), text.size(), pattern, value);
    return text.data();
}

std::string rate_text(std::optional<double> rate) {
    if (!rate)
        return "-";
    if (*rate < 9.95)
        return format(*rate == 0 ? "%.0f" : "%.1f", *rate);
    return *rate < 999'999.5 ? format("%.0f", *rate) : format("%.1fM", *rate / 1e6);
}

std::string duration_text(std::optional<double> seconds) {
    if (!seconds)
        return "-";
    const double value = std::max(*seconds, 0.0);
    if (value < 60)
        return format("%.0fs", value);
    if (value < 3600)
        return format("%.0fm", value / 60);
    return value < 86'400 ? format("%.0fh", value / 3600) : format("%.0fd", value / 86'400);
}

template <typename Number>
std::string number_text(const std::optional<Number> &number) {
    return number ? std::to_string(*number) : "-";
}

// Joins the parts with two spaces into as many lines as they need.
std::vector<std::string> packed(const std::vector<std::string> &parts, std::size_t width) {
    std::vector<std::string> lines;
    for (const auto &part : parts) {
        if (lines.empty() || columns(lines.back()) + 2 + columns(part) > width)
            lines.push_back(part);
        else
            lines.back() += "  " + part;
    }
    return lines;
}

std::vector<std::string> summary(const TopSnapshot &snapshot, Sort sort, Charset charset) {
    double sum = 0;
    for (const auto &stream : snapshot.streams)
        sum += stream.rate.value_or(0);
    std::vector<std::string> parts{"rill top " + printable(snapshot.database, charset)};
    if (snapshot.estimated_streams)
        parts.push_back("about " + std::to_string(*snapshot.estimated_streams) + " streams");
    parts.push_back((snapshot.more_busy ? "appends over " : "appends ") + rate_text(sum) + "/s");
    for (const auto &known : kSorts)
        if (known.sort == sort)
            parts.push_back(std::string("by ") + known.name);
    if (!snapshot.prefix.empty())
        parts.push_back("filter " + printable(snapshot.prefix, charset));
    return parts;
}

std::vector<std::string> state_parts(const TopSnapshot &snapshot, Charset charset) {
    if (!snapshot.state)
        return {"workers: " + printable(snapshot.no_state.empty() ? "unknown" : snapshot.no_state, charset)};
    const TopState &state = *snapshot.state;
    std::vector<std::string> parts{
        number_text(state.listeners) + " listening",
        number_text(state.waiters) + " waiting",
        "wake-ups " + rate_text(state.wakeups_rate) + "/s",
        "NOTIFYs " + rate_text(state.notifies_rate) + "/s",
        "overflows " + number_text(state.overflows),
        "rescues " + number_text(state.rescues),
        "notifier " + printable(state.notifier, charset) +
            (state.notifier_pid ? " (" + std::to_string(*state.notifier_pid) + ")" : ""),
    };
    std::string retention =
        "retention " + (state.retention_age ? "ran " + duration_text(state.retention_age) + " ago" : "has not run");
    if (state.retention_backlog)
        retention += ", " + std::to_string(*state.retention_backlog) + " overdue";
    if (state.retention_lag)
        retention += ", lag " + printable(*state.retention_lag, charset);
    parts.push_back(std::move(retention));
    return parts;
}

std::string stream_line(const std::string &rate, const std::string &head, const std::string &readers,
                        const std::string &last, const std::string &state, const std::string &name, std::size_t width) {
    const bool narrow = width < kNarrow;
    const auto right = [](const std::string &text, std::size_t least) {
        const std::size_t used = columns(text);
        return (used < least ? std::string(least - used, ' ') : std::string()) + text;
    };
    std::string out = right(rate, narrow ? 6 : 8) + " ";
    if (width >= kTiny)
        out += right(head, narrow ? 9 : 12) + " ";
    if (!narrow)
        out += right(readers, 7) + " " + right(last, 5) + " " + fitted(state, 6) + " ";
    return out + name;
}

constexpr const char *kHelp[] = {
    "r n h w l   sort by rate, name, head,",
    "            readers, last append",
    "/           filter by the beginning of",
    "            the name; Esc: no filter",
    "arrows, Page Up, Page Down, Home, End",
    "space       stop, and continue",
    "?           these keys",
    "q           quit",
};

std::vector<ViewLine> head_lines(const TopSnapshot &snapshot, const TopView &view, std::size_t width, Charset charset) {
    std::vector<ViewLine> lines;
    for (auto &line : packed(summary(snapshot, view.sort, charset), width))
        lines.push_back({std::move(line), Style::title});
    for (auto &line : packed(state_parts(snapshot, charset), width))
        lines.push_back({std::move(line), Style::plain});
    if (!snapshot.error.empty())
        lines.push_back({printable(snapshot.error, charset), Style::warning});
    else if (!snapshot.not_listening.empty())
        lines.push_back({"the first by name: " + printable(snapshot.not_listening, charset), Style::warning});
    return lines;
}

std::string foot(const TopSnapshot &snapshot, const TopView &view, std::size_t shown, std::size_t page,
                 Charset charset) {
    if (view.editing)
        return "/" + printable(view.edited, charset) + "_";
    std::string out = view.stopped ? "stopped  " : "";
    out += "q quit  ? keys  / filter";
    if (shown > page)
        out += "  " + std::to_string(view.first + 1) + "-" + std::to_string(std::min(view.first + page, shown)) +
               " of " + std::to_string(shown);
    if (snapshot.more_streams)
        out += "  and quiet ones";
    return out;
}

}  // namespace

void sort_streams(std::vector<TopStream> &streams, Sort sort) {
    const auto key = [sort](const TopStream &stream) -> double {
        switch (sort) {
        case Sort::rate:
            return -stream.rate.value_or(0);
        case Sort::name:
            return 0;
        case Sort::head:
            return -static_cast<double>(stream.head);
        case Sort::readers:
            return -static_cast<double>(stream.readers.value_or(0));
        case Sort::last:
            return stream.age.value_or(1e18);
        }
        return 0;
    };
    std::ranges::sort(streams, [&](const TopStream &a, const TopStream &b) {
        return std::pair(key(a), std::string_view(a.name)) < std::pair(key(b), std::string_view(b.name));
    });
}

std::size_t page_size(std::size_t height) { return height > 6 ? height - 6 : 1; }

std::vector<ViewLine> top_screen(const TopSnapshot &snapshot, TopView &view, std::size_t width, std::size_t height,
                                 Charset charset) {
    std::vector<ViewLine> lines = head_lines(snapshot, view, width, charset);
    const std::size_t room = height > 4 ? height - 4 : 1;  // a heading, two streams and the foot always fit
    if (lines.size() > room)
        lines.resize(room);
    lines.push_back({stream_line("RATE/S", "HEAD", "READERS", "LAST", "STATE", "NAME", width), Style::heading});
    const std::size_t page = height > lines.size() + 1 ? height - lines.size() - 1 : 0;
    if (view.help) {
        for (const char *const line : kHelp)
            lines.push_back({line});
    } else {
        std::vector<TopStream> streams = snapshot.streams;
        sort_streams(streams, view.sort);
        view.first = std::min(view.first, streams.size() > page ? streams.size() - page : 0);
        for (std::size_t i = view.first; i < std::min(view.first + page, streams.size()); ++i) {
            const TopStream &stream = streams[i];
            const Style style = stream.rate.value_or(0) > 0 ? Style::busy : stream.closed ? Style::quiet : Style::plain;
            lines.push_back({stream_line(rate_text(stream.rate), std::to_string(stream.head),
                                         number_text(stream.readers), duration_text(stream.age),
                                         stream.closed ? "closed" : "open", printable(stream.name, charset), width),
                             style});
        }
        if (streams.empty())
            lines.push_back({snapshot.prefix.empty() ? "no streams" : "no streams with this beginning", Style::quiet});
    }
    lines.resize(std::max<std::size_t>(height, 1) - 1);
    lines.push_back({foot(snapshot, view, snapshot.streams.size(), page, charset), Style::heading});
    for (auto &line : lines)
        line.text = fitted(line.text, width, charset);
    return lines;
}

std::string top_table(TopSnapshot snapshot, Sort sort) {
    sort_streams(snapshot.streams, sort);
    std::string out;
    for (const auto &parts : {summary(snapshot, sort, Charset::utf8), state_parts(snapshot, Charset::utf8)})
        for (const auto &line : packed(parts, 100))
            out += line + "\n";
    if (!snapshot.not_listening.empty())
        out += "the first by name: " + printable(snapshot.not_listening) + "\n";
    Table table({{"RATE/S", true}, {"HEAD", true}, {"READERS", true}, {"LAST", true}, {"STATE"}, {"NAME"}});
    for (const auto &stream : snapshot.streams)
        table.add({rate_text(stream.rate), std::to_string(stream.head), number_text(stream.readers),
                   duration_text(stream.age), stream.closed ? "closed" : "open", printable(stream.name)});
    table.print([&out](const std::string &line) { out += line; });
    return out;
}

}  // namespace rill::cli
