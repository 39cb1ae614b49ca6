// core::IdCacheSet against a list in order of use: only the least recently used stream of a full set is evicted, and
// the entry that replaces it starts empty.
#include "core/id_cache_set.hpp"
#include "random.hpp"

#include <algorithm>
#include <limits>
#include <list>

namespace {

using rill::core::IdCacheEntry;
using rill::core::IdCacheSet;
using rill::core::StreamKey;

IdCacheEntry &make(IdCacheSet &set, const StreamKey &key) { return *set.find_or_make(key); }

}  // namespace

TEST_CASE("a full set evicts the least recently used entry") {
    IdCacheSet set = {};
    for (std::int64_t stream = 1; stream <= IdCacheSet::kWays; ++stream)
        make(set, {1, 1, stream}).last_id = stream * 10;
    for (std::int64_t stream = 2; stream <= IdCacheSet::kWays; ++stream)
        CHECK(set.find({1, 1, stream})->last_id == stream * 10);
    REQUIRE(set.find({1, 1, 1}) != nullptr);  // used again, so 2 is now the oldest
    const IdCacheEntry *entry = &make(set, {1, 1, 99});
    CHECK(entry->last_id == 0);
    CHECK(entry->readable_through == 0);
    CHECK_FALSE(entry->last_known);
    CHECK_FALSE(entry->check_tail);
    CHECK(set.find({1, 1, 2}) == nullptr);
    CHECK(set.find({1, 1, 1})->last_id == 10);
}

TEST_CASE("streams of other databases and of a re-created extension are other streams") {
    IdCacheSet set = {};
    (void) make(set, {1, 1, 7});
    CHECK(set.find({2, 1, 7}) == nullptr);
    CHECK(set.find({1, 2, 7}) == nullptr);
    CHECK(set.find({1, 1, 8}) == nullptr);
    CHECK(set.find({1, 1, 7}) != nullptr);
}

TEST_CASE("a mark that replication makes while an append reads the tables is kept") {
    const StreamKey key = {1, 1, 7};
    for (const bool cached : {false, true})
        for (const bool marked_before : {false, true})  // by an EOF that was rolled back
            for (const std::int64_t eof : {9, 10, 11, 12, 13, 14}) {
                CAPTURE(cached);
                CAPTURE(eof);
                IdCacheSet set = {};
                if (cached) {
                    set.learn(key, set.look_up(key), 10, marked_before, true);
                }
                const rill::core::CachedIds seen = set.look_up(key);
                CHECK(seen.last_known == cached);
                set.raise(key, eof, true);
                set.learn(key, seen, 13, false, false);  // an append of three chunks, which has not read the EOF
                const IdCacheEntry *entry = set.find(key);
                CHECK(entry->last_id == (cached && eof > 13 ? eof : 13));
                CHECK(entry->check_tail);
                CHECK(entry->limited == cached);
            }
}

TEST_CASE("a mark that an append has seen before it read the tables is decided by what it read") {
    const StreamKey key = {1, 1, 7};
    for (const bool check : {false, true}) {
        IdCacheSet set = {};
        set.learn(key, set.look_up(key), 10, false, false);
        set.raise(key, 12, true);
        const rill::core::CachedIds seen = set.look_up(key);
        CHECK(seen.check_tail);
        set.learn(key, seen, 13, check, true);
        const IdCacheEntry *entry = set.find(key);
        CHECK(entry->last_id == 13);
        CHECK(entry->check_tail == check);
        CHECK(entry->limited);
    }
}

TEST_CASE("a set behaves like its model, even when its clock wraps") {
    RILL_INFO_SEED();
    rill::test::Random random;
    IdCacheSet set = {};
    set.clock = std::numeric_limits<std::uint32_t>::max() - 5000;
    std::list<IdCacheEntry> model;  // most recently used first
    for (int i = 0; i < 20000; ++i) {
        const StreamKey key = {1 + static_cast<std::uint32_t>(random.upto(1)), 1,
                               1 + static_cast<std::int64_t>(random.upto(7))};
        const auto known =
            std::find_if(model.begin(), model.end(), [&](const IdCacheEntry &entry) { return entry.key == key; });
        const bool was_known = known != model.end();
        if (was_known)
            model.splice(model.begin(), model, known);
        IdCacheEntry *entry = nullptr;
        if (random.chance(50)) {
            entry = set.find(key);
            REQUIRE((entry != nullptr) == was_known);
        } else {
            entry = set.find_or_make(key);
            REQUIRE(entry != nullptr);
            if (!was_known) {
                if (model.size() == IdCacheSet::kWays)
                    model.pop_back();
                model.push_front(IdCacheEntry{key, 0, 0, 0, false, false, false});
            }
        }
        if (entry == nullptr)
            continue;
        const IdCacheEntry &expected = model.front();
        REQUIRE(entry->key == key);
        REQUIRE(entry->last_id == expected.last_id);
        REQUIRE(entry->last_known == expected.last_known);
        REQUIRE(entry->check_tail == expected.check_tail);
        entry->last_id = model.front().last_id = i;
        entry->last_known = model.front().last_known = random.chance(80);
        entry->check_tail = model.front().check_tail = random.chance(20);
    }
}
