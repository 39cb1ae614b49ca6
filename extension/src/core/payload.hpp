// NOTIFY payloads: decimal stream ids joined by commas, as many as fit one payload.
// Pure C++. The server refuses payloads of NOTIFY_PAYLOAD_MAX_LENGTH (about 7,999) bytes
// and more, so the caller passes a smaller buffer and calls again for the rest.
#pragma once
#include <charconv>
#include <cstddef>
#include <cstdint>

namespace rill::core {

inline constexpr const char *kEverything = "*";
inline constexpr std::size_t kPayloadBuffer = 7000;

// Writes ids[from..] into buffer (NUL-terminated) and returns the index after the last one written.
// The buffer holds at least one id (21 bytes).
inline std::size_t format_payload(const std::int64_t *ids, std::size_t from, std::size_t count, char *buffer,
                                  std::size_t size) {
    char *out = buffer;
    char *const last = buffer + size - 1;
    std::size_t i = from;
    for (; i < count; ++i) {
        char *start = out;
        if (i > from) {
            if (start == last)
                break;
            *start++ = ',';
        }
        const auto [end, error] = std::to_chars(start, last, ids[i]);
        if (error != std::errc())
            break;
        out = end;
    }
    *out = '\0';
    return i;
}

}  // namespace rill::core
