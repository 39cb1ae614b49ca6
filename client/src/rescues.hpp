// Chunks that a poll found although LISTEN is in place: was their wake-up late, or lost? A wake-up that arrives before
// a chunk is due still counts as its announcement; other chunks were rescued by the poll. Pure.
#pragma once

#include "monotonic.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <string>
#include <unordered_map>
#include <utility>

namespace rill::detail {

class Rescues {
public:
    static constexpr std::chrono::seconds kDelay{1};  // until a chunk is due

    void found_by_poll(std::int64_t stream_id, const std::string &name, std::uint64_t chunks, TimePoint due) {
        auto &found = found_[stream_id];
        if (found.chunks == 0) {
            found = {name, chunks, due, 0, {}};
        } else {
            found.later_chunks += chunks;
            found.later_due = due;
        }
        due_ = std::min(due_, due);
    }

    // A wake-up has arrived.
    void announced(std::int64_t stream_id) { found_.erase(stream_id); }
    void announced_all() noexcept { found_.clear(); }

    // When report() is to be called next.
    [[nodiscard]] TimePoint due() const noexcept { return due_; }

    // Calls function(name, chunks) for what is due and was not announced.
    template <typename F>
    void report(TimePoint now, F &&function) {
        due_ = TimePoint::max();
        for (auto item = found_.begin(); item != found_.end();) {
            auto &found = item->second;
            if (now >= found.due) {
                function(found.name, found.chunks);
                found.chunks = std::exchange(found.later_chunks, 0);
                found.due = found.later_due;
            }
            if (found.chunks > 0)
                due_ = std::min(due_, found.due);
            item = found.chunks > 0 ? std::next(item) : found_.erase(item);
        }
    }

private:
    // Keyed by the stream's id: the FollowedStream is gone when these chunks hold the end of the stream.
    struct Found {
        std::string name;
        std::uint64_t chunks = 0;
        TimePoint due;
        std::uint64_t later_chunks = 0;  // found after those
        TimePoint later_due;
    };
    std::unordered_map<std::int64_t, Found> found_;
    TimePoint due_ = TimePoint::max();
};

}  // namespace rill::detail
