// See id_cache.hpp. A set's spinlock is held for a few loads and stores.
#include "shmem/id_cache.hpp"

namespace rill {

namespace {

IdCacheSlot *place_of(const core::StreamKey &key) {
    const uint64 hash = hash_bytes_extended(reinterpret_cast<const unsigned char *>(&key), sizeof(key), 0);
    return &id_cache_slots[hash & static_cast<uint64>(shared->sets - 1)];
}
static_assert(sizeof(core::StreamKey) == 16, "hashed as bytes: no padding");

}  // namespace

core::StreamKey stream_key(Oid chunk_table, int64 stream_id) { return {MyDatabaseId, chunk_table, stream_id}; }

bool give_ids(const core::StreamKey &key, int64 count, bool eof, int64 *first) {
    if (shared == nullptr)
        return false;
    IdCacheSlot *place = place_of(key);
    bool given = false;
    SpinLockAcquire(&place->mutex);
    core::IdCacheEntry *entry = place->set.find(key);
    if (entry != nullptr && entry->last_known && !entry->check_tail && entry->last_id <= PG_INT64_MAX - count) {
        *first = entry->last_id + 1;
        entry->last_id += count;
        entry->check_tail = eof;
        given = true;
    }
    SpinLockRelease(&place->mutex);
    return given;
}

void set_last_id(const core::StreamKey &key, int64 last_id, bool check_tail) {
    if (shared == nullptr)
        return;
    IdCacheSlot *place = place_of(key);
    SpinLockAcquire(&place->mutex);
    core::IdCacheEntry *entry = place->set.find_or_make(key);
    entry->last_id = entry->last_known ? Max(entry->last_id, last_id) : last_id;
    entry->last_known = true;
    entry->check_tail = check_tail;
    SpinLockRelease(&place->mutex);
}

void raise_last_id(const core::StreamKey &key, int64 id, bool check_tail) {
    if (shared == nullptr)
        return;
    IdCacheSlot *place = place_of(key);
    SpinLockAcquire(&place->mutex);
    core::IdCacheEntry *entry = place->set.find(key);
    if (entry != nullptr && entry->last_known) {
        entry->last_id = Max(entry->last_id, id);
        entry->check_tail = entry->check_tail || check_tail;
    }
    SpinLockRelease(&place->mutex);
}

void forget_table(Oid chunk_table) {
    if (shared == nullptr)
        return;
    for (int i = 0; i < shared->sets; ++i) {
        SpinLockAcquire(&id_cache_slots[i].mutex);
        for (core::IdCacheEntry &entry : id_cache_slots[i].set.ways)
            if (entry.key.database == MyDatabaseId && entry.key.table == chunk_table)
                entry.key.database = 0;
        SpinLockRelease(&id_cache_slots[i].mutex);
    }
}

void mark_tail(const core::StreamKey &key) {
    if (shared == nullptr)
        return;
    IdCacheSlot *place = place_of(key);
    SpinLockAcquire(&place->mutex);
    if (core::IdCacheEntry *entry = place->set.find(key))
        entry->check_tail = true;
    SpinLockRelease(&place->mutex);
}

CachedIds lookup_ids(const core::StreamKey &key) {
    CachedIds view = {false, 0, 0, true};
    if (shared == nullptr)
        return view;
    IdCacheSlot *place = place_of(key);
    SpinLockAcquire(&place->mutex);
    if (const core::IdCacheEntry *entry = place->set.find(key))
        view = {entry->last_known, entry->last_id, entry->readable_through, entry->check_tail};
    SpinLockRelease(&place->mutex);
    return view;
}

void note_readable(const core::StreamKey &key, int64 id) {
    if (shared == nullptr)
        return;
    IdCacheSlot *place = place_of(key);
    SpinLockAcquire(&place->mutex);
    core::IdCacheEntry *entry = place->set.find_or_make(key);
    entry->readable_through = Max(entry->readable_through, id);
    SpinLockRelease(&place->mutex);
}

int64 cached_stream_count(Oid database) {
    int64 count = 0;
    for (int i = 0; i < shared->sets; ++i) {
        SpinLockAcquire(&id_cache_slots[i].mutex);
        for (const core::IdCacheEntry &entry : id_cache_slots[i].set.ways)
            count += entry.key.database == database ? 1 : 0;
        SpinLockRelease(&id_cache_slots[i].mutex);
    }
    return count;
}

}  // namespace rill
