// See stream_cache.hpp.
#include "tables/stream_cache.hpp"

#include "tables/catalog.hpp"

namespace rill {

namespace {

constexpr long kMaxEntries = 131072;  // about 16 MB; then the cache is emptied

struct {
    MemoryContext context;
    HTAB *streams;
    bool own;    // some entry is of a stream that this transaction created
    bool stale;  // to be emptied at the next use: callbacks must not free memory
} cache = {nullptr, nullptr, false, false};

void empty_cache() {
    if (cache.context == nullptr)
        cache.context = AllocSetContextCreate(TopMemoryContext, "pg_rill streams", ALLOCSET_DEFAULT_SIZES);
    else
        MemoryContextReset(cache.context);
    cache.streams = nullptr;
    HASHCTL control = {};
    control.keysize = sizeof(uint64);
    control.entrysize = sizeof(CachedStream);
    control.hcxt = cache.context;
    cache.streams = hash_create("pg_rill streams", 256, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
    cache.stale = false;
    cache.own = false;
}

}  // namespace

CachedStream *cached_stream(const StreamName &name) {
    if (cache.streams == nullptr || cache.stale)
        return nullptr;
    auto *entry = static_cast<CachedStream *>(hash_search(cache.streams, &name.key, HASH_FIND, nullptr));
    if (entry == nullptr || entry->generation != rights_generation() || entry->size != name.size ||
        memcmp(entry->name, name.data, static_cast<Size>(name.size)) != 0)
        return nullptr;
    return entry;
}

CachedStream *cache_stream(const StreamName &name, int64 id, bool own, uint64 generation) {
    if (cache.streams == nullptr || cache.stale || (!cache.own && hash_get_num_entries(cache.streams) >= kMaxEntries))
        empty_cache();
    bool found;
    auto *copy = static_cast<char *>(MemoryContextAlloc(cache.context, static_cast<Size>(name.size)));
    memcpy(copy, name.data, static_cast<Size>(name.size));
    auto *entry = static_cast<CachedStream *>(hash_search(cache.streams, &name.key, HASH_ENTER, &found));
    if (found)
        pfree(entry->name);
    // A generation of 0 is never the current one: such an entry is good for this call.
    *entry = CachedStream{name.key, copy, name.size, id, tables().names_watched ? generation : 0, own, 0};
    cache.own = cache.own || own;
    return entry;
}

void forget_stream(const StreamName &name) {
    if (CachedStream *entry = cached_stream(name))
        entry->generation = 0;
}

void stream_cache_transaction_ended(bool committed) {
    if (!cache.own)
        return;
    cache.own = false;
    cache.stale = cache.stale || !committed;  // an earlier savepoint may have been rolled back
}

void stream_cache_subtransaction_aborted() { cache.stale = cache.stale || cache.own; }

}  // namespace rill
