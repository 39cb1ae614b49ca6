// Streams to be fetched for once more, within a second of a fetch that brought chunks: a large chunk may have been left
// out of an answer whose limits others had used up. Loop thread only.
#pragma once

#include "followed_stream.hpp"
#include "monotonic.hpp"
#include "registry.hpp"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace rill::detail {

class Rechecks {
public:
    static constexpr std::chrono::seconds kDelay{1};

    void add(FollowedStream &stream, TimePoint now) {
        if (due_ == TimePoint::max())
            due_ = now + kDelay;
        if (!std::exchange(stream.recheck, true))
            names_.push_back(stream.name);
    }

    [[nodiscard]] TimePoint due() const noexcept { return due_; }

    void run(Registry &registry) {
        due_ = TimePoint::max();
        for (const auto &name : std::exchange(names_, {})) {
            FollowedStream *const stream = registry.find(name);
            if (stream == nullptr)
                continue;
            stream->recheck = false;
            for (const auto &reader : stream->readers)
                registry.queue().wake(*reader, kPoll);
        }
    }

private:
    std::vector<std::string> names_;
    TimePoint due_ = TimePoint::max();
};

}  // namespace rill::detail
