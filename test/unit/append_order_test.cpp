// core::judge_place against a list of what was accepted, and core::is_above against the definition of its order.
#include "core/append_order.hpp"
#include "random.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>
#include <vector>

namespace {

using rill::core::is_above;
using rill::core::judge_place;
using rill::core::next_sequence;
using rill::core::PlaceVerdict;
using rill::core::ProducerPlace;

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

// What the reference says, without a short cut.
PlaceVerdict by_list(ProducerPlace append, const std::vector<ProducerPlace> &accepted) {
    std::int64_t highest_epoch = -1;
    std::map<std::int64_t, std::int64_t> last;
    bool known = false;
    for (const ProducerPlace &place : accepted) {
        highest_epoch = std::max(highest_epoch, place.epoch);
        last[place.epoch] = place.seq;
        known = known || (place.epoch == append.epoch && place.seq == append.seq);
    }
    if (append.epoch < highest_epoch)
        return PlaceVerdict::fenced;
    if (known)
        return PlaceVerdict::repeat;
    return append.seq == (last.count(append.epoch) != 0 ? last[append.epoch] + 1 : 1) ? PlaceVerdict::next
                                                                                      : PlaceVerdict::gap;
}

}  // namespace

TEST_CASE("a producer's appends are accepted once, in order, and never below an epoch that has begun") {
    RILL_INFO_SEED();
    rill::test::Random random;
    for (int round = 0; round < 500; ++round) {
        std::vector<ProducerPlace> accepted;
        ProducerPlace last = {0, 0};
        for (int i = 0; i < 60; ++i) {
            const ProducerPlace append = {static_cast<std::int64_t>(random.upto(4)),
                                          1 + static_cast<std::int64_t>(random.upto(5))};
            const PlaceVerdict verdict = judge_place(append, last);
            REQUIRE(verdict == by_list(append, accepted));
            if (verdict != PlaceVerdict::next)
                continue;
            accepted.push_back(append);
            last = append;
        }
    }
}

TEST_CASE("places at the ends of the range") {
    CHECK(judge_place({0, 1}, {0, 0}) == PlaceVerdict::next);
    CHECK(judge_place({kMost, 1}, {0, 0}) == PlaceVerdict::next);
    CHECK(judge_place({0, kMost}, {0, 0}) == PlaceVerdict::gap);
    CHECK(judge_place({kMost, kMost}, {kMost, kMost}) == PlaceVerdict::repeat);
    CHECK(judge_place({kMost, kMost}, {kMost, kMost - 1}) == PlaceVerdict::next);
    CHECK(judge_place({kMost - 1, kMost}, {kMost, 1}) == PlaceVerdict::fenced);
    CHECK(judge_place({kMost, 1}, {kMost - 1, kMost}) == PlaceVerdict::next);
    CHECK(next_sequence(7, {7, 41}) == 42);
    CHECK(next_sequence(8, {7, 41}) == 1);
}

TEST_CASE("values are compared as unsigned bytes, then by length") {
    RILL_INFO_SEED();
    rill::test::Random random;
    for (int round = 0; round < 20000; ++round) {
        std::string a(1 + random.upto(3), '\0');
        std::string b(1 + random.upto(3), '\0');
        for (std::string *value : {&a, &b})
            for (char &byte : *value)
                byte = static_cast<char>(random.chance(50) ? random.upto(255) : "\x01 az\x7f\x80\xff"[random.upto(6)]);
        std::size_t same = 0;
        while (same < a.size() && same < b.size() && a[same] == b[same])
            ++same;
        const bool above = same < a.size() && (same == b.size() || static_cast<unsigned char>(a[same]) >
                                                                       static_cast<unsigned char>(b[same]));
        REQUIRE(is_above(a, b) == above);
        REQUIRE_FALSE(is_above(a, a));
    }
    CHECK(is_above("9", "10"));
    CHECK(is_above("ab", "a"));
    CHECK_FALSE(is_above("a", "ab"));
    CHECK(is_above("\xc3\xa9", "z"));
}
