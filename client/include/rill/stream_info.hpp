// One row of the server's view stream_info: what is known of a stream without reading it.
// Thread-safety: a plain value. Durations are given as PostgreSQL writes intervals.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace rill {

struct StreamInfo {
    std::string name;
    std::int64_t stream_id = 0;
    std::string owner;
    std::optional<std::chrono::system_clock::time_point> created_at;
    std::optional<std::int64_t> first_id;
    std::int64_t head_id = 0;
    bool closed = false;
    std::optional<std::int64_t> chunks;
    std::optional<std::int64_t> bytes;
    std::optional<std::chrono::system_clock::time_point> first_at;
    std::optional<std::chrono::system_clock::time_point> last_at;
    std::optional<std::int64_t> waiters;
    std::optional<std::string> max_age;
    std::optional<std::int64_t> max_chunks;
    std::optional<std::int64_t> max_bytes;
    std::optional<std::string> delete_after_close;
};

}  // namespace rill
