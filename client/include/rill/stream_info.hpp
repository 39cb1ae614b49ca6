// One row of the server's view stream_info: what is known of a stream without reading it.
// Thread-safety: a plain value.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace rill {

/// A member that is null in the view is nullopt. Times are the server's; intervals are in PostgreSQL's notation.
struct StreamInfo {
    std::string name;
    std::int64_t stream_id = 0;
    std::string owner;
    std::optional<std::chrono::system_clock::time_point> created_at;
    std::optional<std::int64_t> first_id;  ///< the first retained chunk
    std::int64_t head_id = 0;              ///< the highest readable id, 0 if there is none
    bool closed = false;
    std::optional<std::int64_t> chunks;  ///< readable chunks, the EOF included
    std::optional<std::int64_t> bytes;   ///< of their data
    std::optional<std::chrono::system_clock::time_point> first_at;
    std::optional<std::chrono::system_clock::time_point> last_at;
    std::optional<std::int64_t> waiters;  ///< sessions that wait for the stream in the server
    std::optional<std::string> max_age;   ///< the limits of retention
    std::optional<std::int64_t> max_chunks;
    std::optional<std::int64_t> max_bytes;
    std::optional<std::string> delete_after_close;
};

}  // namespace rill
