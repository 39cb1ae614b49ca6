// The access log: a line of eight fields for each request, with one blank between them.
//
//   2026-11-25T22:16:01.123Z 127.0.0.1 - GET /v1/stream/a?offset=-1 200 311 4
//
// They are the time at which the request began (UTC), the client's address, the database role or "-", the method, the
// target as it was sent, the status or "-" when there was no answer, the bytes of the answer that were sent, its head
// included, and the milliseconds from the request's first byte to the end of the answer.
//
// What a client has written can neither end a line nor add a field: whatever is not printable ASCII is percent-encoded.
// No header's value is here, so no token is. Pure.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace rill::serve {

struct AccessEntry {
    std::chrono::system_clock::time_point time{};
    std::string remote{};  // empty: not known
    std::string role{};    // empty: none
    std::string method{};  // empty, as the target: the request could not be read so far
    std::string target{};
    int status = 0;  // 0: no answer
    std::uint64_t bytes = 0;
    std::chrono::milliseconds duration{0};
};

// Bytes that are not printable ASCII, and those of `also`, percent-encoded; cut after `longest` characters, with "..."
// behind them. Empty text is "-".
[[nodiscard]] std::string log_field(std::string_view text, std::size_t longest, std::string_view also = "");

// With its newline; at most 2,048 bytes.
[[nodiscard]] std::string access_line(const AccessEntry &entry);

}  // namespace rill::serve
