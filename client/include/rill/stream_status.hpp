// What the server knows of a stream, and what it is told to keep of it.
//
// Thread-safety: plain values.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace rill {

/// What the server removes by itself. nullopt is no limit.
struct Limits {
    std::optional<std::chrono::microseconds> max_age{};             ///< of a chunk; at most 5000 years
    std::optional<std::int64_t> max_chunks{};                       ///< 1 or more
    std::optional<std::int64_t> max_bytes{};                        ///< of data; 1 or more
    std::optional<std::chrono::microseconds> delete_after_close{};  ///< the stream goes so long after its EOF
    std::optional<std::chrono::microseconds>
        max_idle{};  ///< the stream goes when so long neither appended to nor touched
    std::optional<std::chrono::system_clock::time_point> expires_at{};  ///< the stream goes then

    friend bool operator==(const Limits &, const Limits &) = default;
};

/// One moment of a stream. Of one that does not exist, or that this role may not see, everything is nullopt, 0 or
/// false. Times are the server's. Months and years of an interval that was set in SQL count as 30 days and 12 months.
struct StreamStatus {
    std::string name;
    std::optional<std::int64_t> stream_id;
    std::optional<std::chrono::system_clock::time_point> created_at;
    std::optional<std::int64_t> first_id;      ///< the first retained chunk
    std::int64_t head_id = 0;                  ///< the highest readable id
    std::optional<std::int64_t> last_data_id;  ///< the highest readable id that is no empty EOF
    bool closed = false;
    std::optional<std::chrono::system_clock::time_point> first_at;
    std::optional<std::chrono::system_clock::time_point> last_at;
    std::optional<std::int64_t> trimmed_through;  ///< chunks up to this id are gone
    std::optional<std::string> metadata;          ///< JSON
    std::optional<std::int64_t> waiters;          ///< sessions that wait for it in the server
    Limits limits;
    bool expired = false;  ///< past limits.expires_at: the server is about to remove it

    [[nodiscard]] bool exists() const noexcept { return stream_id.has_value(); }
};

struct StreamSize {
    std::int64_t chunks = 0;  ///< readable data chunks
    std::int64_t bytes = 0;   ///< of their data
};

}  // namespace rill
