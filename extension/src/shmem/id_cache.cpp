// See id_cache.hpp. A set's spinlock is held for a few loads and stores.
#include "shmem/id_cache.hpp"

#include "base/settings.hpp"

namespace rill {

namespace {

struct LockedSet {
    slock_t mutex;  // protects set
    core::IdCacheSet set;
};
static_assert(std::is_trivially_copyable_v<core::IdCacheSet> && std::is_standard_layout_v<LockedSet>);

LockedSet *sets = nullptr;  // null without shared memory

int set_count() { return power_of_two_at_least(Max(1, cached_streams / core::IdCacheSet::kWays)); }
Size area_size() { return mul_size(static_cast<Size>(set_count()), sizeof(*sets)); }
uint64 set_mask = 0;

LockedSet *set_of(const core::StreamKey &key) {
    static_assert(sizeof(core::StreamKey) == 16, "hashed as bytes: no padding");
    const uint64 hash = hash_bytes_extended(reinterpret_cast<const unsigned char *>(&key), sizeof(key), 0);
    return &sets[hash & set_mask];
}

}  // namespace

void request_id_cache() { RequestAddinShmemSpace(area_size()); }

void attach_id_cache() {
    const bool is_new = attach_area("pg_rill id cache", area_size(), &sets);
    set_mask = static_cast<uint64>(set_count() - 1);
    for (int i = 0; is_new && i < set_count(); ++i)
        SpinLockInit(&sets[i].mutex);
}

namespace {

bool is_cached(const core::StreamKey &key) { return sets != nullptr && key.database != 0; }

}  // namespace

bool give_ids(const core::StreamKey &key, int64 count, bool eof, int64 *first, bool *limited) {
    if (!is_cached(key))
        return false;
    LockedSet *locked = set_of(key);
    bool given = false;
    SpinLockAcquire(&locked->mutex);
    core::IdCacheEntry *entry = locked->set.find(key);
    if (entry != nullptr && entry->last_known && !entry->check_tail && entry->last_id <= PG_INT64_MAX - count) {
        *first = entry->last_id + 1;
        entry->last_id += count;
        entry->check_tail = eof;
        *limited = entry->limited;
        given = true;
    }
    SpinLockRelease(&locked->mutex);
    return given;
}

void set_last_id(const core::StreamKey &key, const CachedIds &seen, int64 last_id, bool check_tail, bool limited) {
    if (!is_cached(key))
        return;
    LockedSet *locked = set_of(key);
    SpinLockAcquire(&locked->mutex);
    locked->set.learn(key, seen, last_id, check_tail, limited);
    SpinLockRelease(&locked->mutex);
}

void raise_last_id(const core::StreamKey &key, int64 id, bool check_tail) {
    if (!is_cached(key))
        return;
    LockedSet *locked = set_of(key);
    SpinLockAcquire(&locked->mutex);
    locked->set.raise(key, id, check_tail);
    SpinLockRelease(&locked->mutex);
}

void forget_ids() {
    for (int i = 0; sets != nullptr && i < set_count(); ++i) {
        SpinLockAcquire(&sets[i].mutex);
        for (core::IdCacheEntry &entry : sets[i].set.ways)
            if (entry.key.database == MyDatabaseId)
                entry.key.database = 0;
        SpinLockRelease(&sets[i].mutex);
    }
}

void mark_tail(const core::StreamKey &key) {
    if (!is_cached(key))
        return;
    LockedSet *locked = set_of(key);
    SpinLockAcquire(&locked->mutex);
    if (core::IdCacheEntry *entry = locked->set.find(key))
        entry->check_tail = true;
    SpinLockRelease(&locked->mutex);
}

void mark_limited(const core::StreamKey &key) {
    if (!is_cached(key))
        return;
    LockedSet *locked = set_of(key);
    SpinLockAcquire(&locked->mutex);
    if (core::IdCacheEntry *entry = locked->set.find(key))
        entry->limited = true;
    SpinLockRelease(&locked->mutex);
}

CachedIds lookup_ids(const core::StreamKey &key) {
    if (!is_cached(key))
        return {false, 0, 0, true, 0};
    LockedSet *locked = set_of(key);
    SpinLockAcquire(&locked->mutex);
    const CachedIds ids = locked->set.look_up(key);
    SpinLockRelease(&locked->mutex);
    return ids;
}

void note_readable(const core::StreamKey &key, int64 id) {
    if (!is_cached(key))
        return;
    LockedSet *locked = set_of(key);
    SpinLockAcquire(&locked->mutex);
    core::IdCacheEntry *entry = locked->set.find_or_make(key);
    entry->readable_through = Max(entry->readable_through, id);
    SpinLockRelease(&locked->mutex);
}

int64 cached_stream_count(Oid database) {
    int64 count = 0;
    for (int i = 0; sets != nullptr && i < set_count(); ++i) {
        SpinLockAcquire(&sets[i].mutex);
        for (const core::IdCacheEntry &entry : sets[i].set.ways)
            count += entry.key.database == database ? 1 : 0;
        SpinLockRelease(&sets[i].mutex);
    }
    return count;
}

}  // namespace rill
