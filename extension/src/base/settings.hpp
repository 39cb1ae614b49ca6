// The pg_rill.* settings. Values are read where they are used; nothing caches them.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

extern int max_chunk_bytes;       // bytes of data in one chunk
extern int recheck_interval;      // ms between checks of a waiting session that is not woken
extern bool wakeups;              // developer option: off sends no wake-up at transaction end
extern int retention_interval;    // s until retention checks what was appended to; 0: never
extern int forget_deleted_after;  // s that the tombstone of a deleted stream is kept
extern int cached_streams;        // streams in the shared id cache
extern int max_waits;             // streams that all waiting sessions together can be woken for
extern int max_databases;         // databases that can have listening sessions
extern int wake_queue_size;       // stream ids between backends and a database's notifier

void define_settings();

}  // namespace rill
