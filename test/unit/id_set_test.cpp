// core::IdSet against std::set: every id that was added is taken once; ids that do not fit are refused, not lost
// silently; and nothing is lost while another thread takes.
#include "core/id_set.hpp"
#include "random.hpp"

#include <algorithm>
#include <set>
#include <thread>
#include <vector>

namespace {

using rill::core::IdSet;
using rill::core::IdSlot;
using Put = IdSet::Put;

struct Set {
    explicit Set(std::uint32_t capacity) : slots(capacity), set{slots.data(), capacity} {}
    std::vector<std::int64_t> take_all(std::uint32_t room) {
        std::vector<std::int64_t> all;
        for (std::uint32_t position = 0;;) {
            std::vector<std::int64_t> some(room);
            some.resize(set.take(&position, some.data(), room));
            if (some.empty())
                return all;
            all.insert(all.end(), some.begin(), some.end());
        }
    }
    std::vector<IdSlot> slots;
    IdSet set;
};

}  // namespace

TEST_CASE("an id is in the set once, until it is taken") {
    Set ids(64);
    CHECK(ids.set.put(5) == Put::added);
    CHECK(ids.set.put(5) == Put::there);
    CHECK(ids.set.put(-7) == Put::added);
    CHECK(ids.set.put(0) == Put::full);  // the mark of a free slot
    auto taken = ids.take_all(1);
    std::sort(taken.begin(), taken.end());
    CHECK(taken == std::vector<std::int64_t>{-7, 5});
    CHECK(ids.take_all(8).empty());
    CHECK(ids.set.put(5) == Put::added);
}

TEST_CASE("every id is added or refused, and those added are taken") {
    RILL_INFO_SEED();
    rill::test::Random random;
    Set ids(256);
    for (int round = 0; round < 200; ++round) {
        std::set<std::int64_t> added;
        for (int i = 0; i < 300; ++i) {
            const auto id = 1 + static_cast<std::int64_t>(random.upto(399));
            switch (ids.set.put(id)) {
            case Put::added:
                CHECK(added.insert(id).second);
                break;
            case Put::there:
                CHECK(added.count(id) == 1);
                break;
            case Put::full:
                CHECK(added.count(id) == 0);
                break;
            }
        }
        const auto taken = ids.take_all(static_cast<std::uint32_t>(1 + random.upto(49)));
        CHECK(std::set<std::int64_t>(taken.begin(), taken.end()) == added);
        CHECK(taken.size() == added.size());
    }
}

TEST_CASE("what was done before an id was put is seen by whoever takes it") {
    constexpr int kIds = 8;
    constexpr int kRounds = 20000;
    Set ids(64);
    std::vector<std::atomic<int>> stored(kIds + 1);  // relaxed: only put() and take() order them
    std::vector<int> seen(kIds + 1);
    std::atomic<int> running{2};
    const auto write = [&](int first) {
        for (int round = 1; round <= kRounds; ++round)
            for (int id = first; id <= kIds; id += 2) {
                stored[static_cast<std::size_t>(id)].store(round, std::memory_order_relaxed);
                (void) ids.set.put(id);
            }
        --running;
    };
    std::thread odd(write, 1);
    std::thread even(write, 2);
    for (bool last = false; !last;) {
        last = running == 0;
        for (const auto id : ids.take_all(3))
            seen[static_cast<std::size_t>(id)] = stored[static_cast<std::size_t>(id)].load(std::memory_order_relaxed);
    }
    odd.join();
    even.join();
    for (int id = 1; id <= kIds; ++id)
        CHECK(seen[static_cast<std::size_t>(id)] == kRounds);
}
