// One set of the shared id cache: a few streams, the highest id given to each, and how far each is known to be decided.
// Pure C++: the caller holds the set's lock for each call.
// Forgetting an entry is always safe: what it held can be read from the index again.
#pragma once
#include <array>
#include <cstdint>

namespace rill::core {

struct StreamKey {
    std::uint32_t database;  // 0: the entry is free
    std::uint32_t table;     // a dropped and re-created extension starts its stream ids again
    std::int64_t stream;

    friend bool operator==(const StreamKey &, const StreamKey &) = default;
};

struct IdCacheEntry {
    StreamKey key;
    std::int64_t last_id;           // highest id given, committed or not; valid when last_known
    std::int64_t readable_through;  // every id up to here is decided forever, and this one was read
    std::uint32_t used;
    bool last_known;
    bool check_tail;  // an EOF or a delete may stand at the tail: ask the table
    bool limited;     // retention wants to know of appends; valid when last_known
};

struct IdCacheSet {
    static constexpr int kWays = 8;
    std::array<IdCacheEntry, kWays> ways;
    std::uint32_t clock;

    IdCacheEntry *find(const StreamKey &key) {
        for (IdCacheEntry &entry : ways)
            if (entry.key == key) {
                entry.used = ++clock;
                return &entry;
            }
        return nullptr;
    }

    // When the set is full, the least recently used entry is evicted.
    IdCacheEntry *find_or_make(const StreamKey &key) {
        if (IdCacheEntry *entry = find(key))
            return entry;
        IdCacheEntry *victim = &ways[0];
        for (IdCacheEntry &entry : ways) {
            if (entry.key.database == 0) {
                victim = &entry;
                break;
            }
            if (clock - entry.used > clock - victim->used)
                victim = &entry;
        }
        *victim = IdCacheEntry{key, 0, 0, ++clock, false, false, false};
        return victim;
    }
};

}  // namespace rill::core
