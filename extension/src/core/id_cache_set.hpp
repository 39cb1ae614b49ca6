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
    std::uint32_t raised;           // of the set: see IdCacheSet
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
    std::uint32_t raised;  // how many rows were stored with ids given elsewhere, their streams cached or not

    IdCacheEntry *find(const StreamKey &key) {
        for (IdCacheEntry &entry : ways)
            if (entry.key == key) {
                entry.used = ++clock;
                return &entry;
            }
        return nullptr;
    }

    CachedIds look_up(const StreamKey &key) {
        const IdCacheEntry *entry = find(key);
        return entry != nullptr
                   ? CachedIds{entry->last_known, entry->last_id, entry->readable_through, entry->check_tail, raised}
                   : CachedIds{false, 0, 0, true, raised};
    }

    // What the tables say, by a session under the append lock that had `seen` before it read them. If a row was stored
    // meanwhile with an id given elsewhere, it may be an EOF, or a delete, that this session has not read.
    void learn(const StreamKey &key, const CachedIds &seen, std::int64_t id, bool check, bool has_limits) {
        IdCacheEntry &entry = *find_or_make(key);
        entry.check_tail = check || raised != seen.raised;
        entry.last_id = entry.last_known && entry.last_id > id ? entry.last_id : id;
        entry.limited = has_limits || (entry.last_known && entry.limited);
        entry.last_known = true;
    }

    // A row was stored with an id given elsewhere (logical replication).
    void raise(const StreamKey &key, std::int64_t id, bool check) {
        ++raised;
        IdCacheEntry *entry = find(key);
        if (entry == nullptr || !entry->last_known)
            return;
        entry->last_id = id > entry->last_id ? id : entry->last_id;
        entry->check_tail = entry->check_tail || check;
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
