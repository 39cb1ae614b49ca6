// rill ls and rill info: what the server knows of streams, as a table for people and as JSON for programs.
#include "commands.hpp"

#include "format.hpp"
#include "json_lines.hpp"
#include "output.hpp"
#include "rill/client.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

namespace rill::cli {
namespace {

template <typename T>
std::string text_of(const std::optional<T> &value) {
    if (!value)
        return "-";
    if constexpr (std::is_same_v<T, std::string>)
        return *value;
    else if constexpr (std::is_integral_v<T>)
        return std::to_string(*value);
    else
        return iso_time(*value);
}

// In characters, not bytes.
std::size_t width(const std::string &text) {
    return static_cast<std::size_t>(
        std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

}  // namespace

int list(const ConnectionOptions &connection, bool json) {
    Client client = connect(connection);
    const auto streams = client.streams();
    Output out;
    if (json) {
        for (const auto &stream : streams)
            out.write(json_line(stream));
        out.flush();
        return 0;
    }
    using Row = std::array<std::string, 5>;
    std::vector<Row> rows{{"NAME", "CHUNKS", "HEAD", "CLOSED", "LAST"}};
    for (const auto &stream : streams)
        rows.push_back({printable(stream.name), text_of(stream.chunks), std::to_string(stream.head_id),
                        stream.closed ? "yes" : "no", text_of(stream.last_at)});
    std::array<std::size_t, 5> widths{};
    for (const auto &row : rows)
        for (std::size_t i = 0; i < row.size(); ++i)
            widths[i] = std::max(widths[i], width(row[i]));
    for (const auto &row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            const std::string padding(widths[i] - width(row[i]), ' ');
            const bool is_number = i == 1 || i == 2;
            line += is_number ? padding + row[i] : row[i];
            if (i + 1 < row.size())
                line += is_number ? "  " : padding + "  ";
        }
        out.write(line + "\n");
    }
    out.flush();
    return 0;
}

int info(const ConnectionOptions &connection, const std::string &stream, bool json) {
    Client client = connect(connection);
    const auto info = client.info(stream);
    if (!info) {
        print_error("stream \"" + printable(stream) + "\" does not exist, or this role may not see it");
        return 1;
    }
    Output out;
    if (json) {
        out.write(json_line(*info));
        out.flush();
        return 0;
    }
    const std::pair<const char *, std::string> lines[] = {
        {"name", printable(info->name)},
        {"stream_id", std::to_string(info->stream_id)},
        {"owner", printable(info->owner)},
        {"created_at", text_of(info->created_at)},
        {"closed", info->closed ? "yes" : "no"},
        {"first_id", text_of(info->first_id)},
        {"head_id", std::to_string(info->head_id)},
        {"chunks", text_of(info->chunks)},
        {"bytes", text_of(info->bytes)},
        {"first_at", text_of(info->first_at)},
        {"last_at", text_of(info->last_at)},
        {"waiters", text_of(info->waiters)},
        {"max_age", text_of(info->max_age)},
        {"max_chunks", text_of(info->max_chunks)},
        {"max_bytes", text_of(info->max_bytes)},
        {"delete_after_close", text_of(info->delete_after_close)},
    };
    for (const auto &[name, value] : lines)
        out.write(std::string(name) + std::string(20 - std::string_view(name).size(), ' ') + value + "\n");
    out.flush();
    return 0;
}

}  // namespace rill::cli
