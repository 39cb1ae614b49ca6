// See touches.hpp.
#include "touches.hpp"

#include <algorithm>

namespace rill::serve {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMostUnderWay = 10'000;
constexpr std::size_t kTidyAt = 1'000;

// The part of a time to live, in this range.
milliseconds part_of(std::int64_t ttl, std::int64_t parts, milliseconds shortest) {
    constexpr milliseconds kLongest = std::chrono::hours(1);
    if (ttl >= std::chrono::duration_cast<std::chrono::seconds>(kLongest).count() * parts)
        return kLongest;
    return std::max(milliseconds(std::chrono::seconds(ttl)) / parts, shortest);
}

}  // namespace

milliseconds keeping_interval(std::int64_t ttl) { return part_of(ttl, 3, milliseconds(200)); }

bool Touches::begin(const std::string &stream, std::int64_t ttl, Time now) {
    if (under_way_ >= kMostUnderWay)
        return false;
    const auto found = streams_.find(stream);
    if (found != streams_.end() && (found->second.under_way || now < found->second.fresh_until))
        return false;
    if (streams_.size() >= tidy_at_) {
        std::erase_if(streams_,
                      [now](const auto &entry) { return !entry.second.under_way && entry.second.fresh_until <= now; });
        tidy_at_ = std::max(kTidyAt, 2 * streams_.size());
    }
    streams_[stream] = {.fresh_until = now + part_of(ttl, 10, milliseconds(50)), .under_way = true};
    ++under_way_;
    return true;
}

void Touches::end(const std::string &stream) {
    streams_.at(stream).under_way = false;
    --under_way_;
}

}  // namespace rill::serve
