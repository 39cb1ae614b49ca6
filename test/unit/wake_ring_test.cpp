// core::WakeRing against a queue: every id that was put is taken, alone or as part of "everything"; only ids that are
// still in the ring are coalesced.
#include "core/wake_ring.hpp"
#include "random.hpp"

#include <algorithm>
#include <deque>
#include <vector>

namespace {

using rill::core::WakeRing;
using Put = WakeRing::Put;

struct Ring {
    explicit Ring(std::uint32_t capacity) : slots(capacity) { ring.init(capacity); }
    Put put(std::int64_t id) { return ring.put(slots.data(), id); }
    std::vector<std::int64_t> take(std::uint32_t room, bool *everything) {
        std::vector<std::int64_t> out(room);
        out.resize(ring.take(slots.data(), out.data(), room, everything));
        return out;
    }
    std::vector<std::int64_t> slots;
    WakeRing ring;
};

}  // namespace

TEST_CASE("ids come out in order, each once while it is queued") {
    Ring ring(4);
    CHECK(ring.ring.empty());
    CHECK(ring.put(7) == Put::queued);
    CHECK(ring.put(8) == Put::queued);
    CHECK(ring.put(7) == Put::coalesced);
    bool everything = true;
    CHECK(ring.take(1, &everything) == std::vector<std::int64_t>{7});
    CHECK_FALSE(everything);
    CHECK(ring.put(7) == Put::queued);  // taken, so it must be queued again
    CHECK(ring.take(9, &everything) == std::vector<std::int64_t>{8, 7});
    CHECK(ring.ring.empty());
}

TEST_CASE("a full ring reports everything, once, and starts over") {
    Ring ring(2);
    CHECK(ring.put(1) == Put::queued);
    CHECK(ring.put(2) == Put::queued);
    CHECK(ring.put(2) == Put::coalesced);
    CHECK(ring.put(3) == Put::overflowed);
    CHECK(ring.put(4) == Put::coalesced);
    CHECK_FALSE(ring.ring.empty());
    bool everything = false;
    CHECK(ring.take(9, &everything).empty());
    CHECK(everything);
    CHECK(ring.ring.empty());
    CHECK(ring.put(2) == Put::queued);  // not covered by the earlier "everything"
    CHECK(ring.take(9, &everything) == std::vector<std::int64_t>{2});
    CHECK_FALSE(everything);
}

TEST_CASE("ids that share a slot of the recent ids are all kept") {
    Ring ring(8);
    const std::int64_t other = 5 + WakeRing::kRecent;
    CHECK(ring.put(5) == Put::queued);
    CHECK(ring.put(other) == Put::queued);
    CHECK(ring.put(5) == Put::queued);  // evicted: a repeat, not a loss
    bool everything = true;
    CHECK(ring.take(9, &everything) == std::vector<std::int64_t>{5, other, 5});
}

TEST_CASE("a wake ring behaves like its model") {
    RILL_INFO_SEED();
    rill::test::Random random;
    Ring ring(16);
    std::deque<std::int64_t> model;
    bool overflowed = false;
    for (int i = 0; i < 50000; ++i) {
        if (random.chance(80)) {
            // Few ids, some of which share a slot.
            const std::int64_t id = 1 + static_cast<std::int64_t>(random.upto(11) + random.upto(2) * WakeRing::kRecent);
            const bool waits = std::find(model.begin(), model.end(), id) != model.end();
            switch (ring.put(id)) {
            case Put::queued:
                REQUIRE_FALSE(overflowed);
                REQUIRE(model.size() < 16);
                model.push_back(id);
                break;
            case Put::coalesced:
                REQUIRE((waits || overflowed));
                break;
            case Put::overflowed:
                REQUIRE(model.size() == 16);
                overflowed = true;
                break;
            }
        } else {
            const auto room = static_cast<std::uint32_t>(1 + random.upto(19));
            bool everything = false;
            const std::vector<std::int64_t> out = ring.take(room, &everything);
            REQUIRE(everything == overflowed);
            if (overflowed)
                model.clear();
            const auto taken = static_cast<std::ptrdiff_t>(std::min<std::size_t>(room, model.size()));
            REQUIRE(out == std::vector<std::int64_t>(model.begin(), model.begin() + taken));
            model.erase(model.begin(), model.begin() + taken);
            overflowed = false;
        }
        REQUIRE(ring.ring.empty() == (model.empty() && !overflowed));
    }
}
