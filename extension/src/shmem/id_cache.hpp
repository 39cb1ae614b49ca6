// The shared id cache: the highest id given to each recently used stream.
// It caches what the index says. An entry's last_id is changed only by a session that holds that stream's append lock,
// so a missing entry can always be rebuilt from the index, and an existing one is never behind the index. Without
// shared memory every lookup is a miss.
// Keys come from stream_key() (tables/catalog.hpp). A key without a database has no entry: every lookup is a miss.
// Full: the least recently used stream of a set is evicted; its next append reads the index again.
#pragma once
#include "core/id_cache_set.hpp"
#include "shmem/shared_state.hpp"

namespace rill {

using core::CachedIds;

// Under the append lock: gives `count` consecutive ids, unless the stream is not in the cache or its tail must be
// checked first. `eof` marks the tail for the next append. *limited: the stream has limits.
bool give_ids(const core::StreamKey &key, int64 count, bool eof, int64 *first, bool *limited);

// Under the append lock: what the index said, and stream_state. Ids never go down. `seen` is what lookup_ids() answered
// before the index was read.
void set_last_id(const core::StreamKey &key, const CachedIds &seen, int64 last_id, bool check_tail, bool limited);

// A chunk was stored with an id given elsewhere (logical replication): a cached last id must not fall behind it.
void raise_last_id(const core::StreamKey &key, int64 id, bool check_tail);

// Rows may have been stored without the cache's knowledge: the streams of this database are read from the index again.
// Safe at any time: a session that reads the index holds the append lock, and so finds the rows of every id given
// before.
void forget_ids();

// The tail is about to be closed or deleted by a transaction that has not ended yet.
void mark_tail(const core::StreamKey &key);

// Under the append lock: a transaction that has not ended yet has given the stream limits.
void mark_limited(const core::StreamKey &key);

CachedIds lookup_ids(const core::StreamKey &key);

// A reader has found every id up to `id` decided and `id` readable.
void note_readable(const core::StreamKey &key, int64 id);

// Streams of this database in the cache; 0 without shared memory.
int64 cached_stream_count(Oid database);

void request_id_cache();
void attach_id_cache();

}  // namespace rill
