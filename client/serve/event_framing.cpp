// See event_framing.hpp.
#include "event_framing.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace rill::serve {

// One space behind the colon is no part of a line, so it is written only where the line begins with one itself.
std::string event(std::string_view name, std::string_view payload) {
    std::string out;
    out.reserve(payload.size() + name.size() + 32);
    out.append("event: ").append(name);
    for (std::size_t at = 0;;) {
        const std::size_t end = std::min(payload.find_first_of("\r\n", at), payload.size());
        const std::string_view line = payload.substr(at, end - at);
        out.append(line.starts_with(' ') ? "\ndata: " : "\ndata:").append(line);
        if (end == payload.size())
            return out.append("\n\n");
        at = end + (payload.substr(end, 2) == "\r\n" ? 2 : 1);
    }
}

std::string base64(std::string_view bytes) {
    constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        const std::size_t count = bytes.size() - at < 3 ? bytes.size() - at : 3;
        std::uint32_t group = 0;
        for (std::size_t i = 0; i < 3; ++i)
            group = group << 8U | (i < count ? static_cast<unsigned char>(bytes[at + i]) : 0U);
        for (std::size_t i = 0; i < 4; ++i)
            out += i <= count ? kDigits[(group >> (18U - 6U * i)) & 63U] : '=';
    }
    return out;
}

// Offsets and cursors are hexadecimal or decimal: nothing in them needs an escape.
std::string control_event(const Control &control) {
    std::string json = R"({"streamNextOffset":")" + control.next_offset + '"';
    if (!control.cursor.empty())
        json += R"(,"streamCursor":")" + control.cursor + '"';
    if (control.up_to_date)
        json += R"(,"upToDate":true)";
    if (control.closed)
        json += R"(,"streamClosed":true)";
    return event("control", json + '}');
}

}  // namespace rill::serve
