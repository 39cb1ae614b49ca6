// When a stream with a time to live must be counted as used again. Each touch is a call of the database, and thousands
// of clients may read one stream.
//
// Thread-safety: one thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>

namespace rill::serve {

// How often somebody who reads a stream with this time to live, in seconds, counts it as used: at each third of it, but
// at least every hour, since the server takes times to live of centuries, which no timer does.
[[nodiscard]] std::chrono::milliseconds keeping_interval(std::int64_t ttl);

// What is being touched and was touched lately, by whoever reads it.
class Touches {
public:
    using Time = std::chrono::steady_clock::time_point;

    // Whether the stream is to be touched now; end() follows then. Once in a tenth of its time to live, since the
    // server takes no notice of more, and not while a touch is under way: it may wait for a transaction that is
    // trimming.
    [[nodiscard]] bool begin(const std::string &stream, std::int64_t ttl, Time now);
    void end(const std::string &stream);

    [[nodiscard]] std::size_t size() const { return streams_.size(); }

private:
    struct Touch {
        Time fresh_until;
        bool under_way;
    };

    std::unordered_map<std::string, Touch> streams_;
    std::size_t under_way_ = 0;
    std::size_t tidy_at_ = 1'000;
};

}  // namespace rill::serve
