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

struct CachedIds {
    bool last_known;
    std::int64_t last_id;           // highest id given, committed or not
    std::int64_t readable_through;  // 0: not known
    bool check_tail;                // an EOF or a delete may be at the tail
};

struct IdCacheEntry {
    StreamKey key;
    std::int64_t last_id;           // highest id given, committed or not; valid when last_known
    std::int64_t readable_through;  // every id up to here is decided forever, and this one was read
    std::uint32_t used;
    bool last_known;
    bool check_tail;  // an EOF or a delete may stand at the tail: ask the table
    bool limited;     // retention wants to know of appends; valid when last_known

    // What the tables say, by a session under the append lock that had `seen` before it read them. If the entry has
    // changed meanwhile, a row was stored with an id given elsewhere: a mark may be for an EOF that it has not read.
    void learn(const CachedIds &seen, std::int64_t id, bool check, bool has_limits) {
        const bool unseen = last_known && (!seen.last_known || last_id != seen.last_id || !seen.check_tail);
        check_tail = check || (unseen && check_tail);
        last_id = last_known && last_id > id ? last_id : id;
        limited = has_limits || (last_known && limited);
        last_known = true;
    }

    // A row was stored with an id given elsewhere (logical replication).
    void raise(std::int64_t id, bool check) {
        if (!last_known)
            return;
        last_id = id > last_id ? id : last_id;
        check_tail = check_tail || check;
    }
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
