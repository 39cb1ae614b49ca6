// One followed stream, and the readers that follow it. Loop thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace rill::detail {

class Subscription;

struct FollowedStream {
    std::string name;
    std::int64_t id = 0;  // 0 while unknown
    std::vector<std::shared_ptr<Subscription>> readers;
    std::uint64_t last_batch = 0;  // the number of the last batch that it was in,
    std::uint32_t entry = 0;       // and where
};

}  // namespace rill::detail
