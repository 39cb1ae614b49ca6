// The shared sequence table: the highest id given to each recently used stream.
// It is a cache of what the index says. Every change of an entry's last_id is made by a
// session that holds that stream's order lock, so a missing entry can always be rebuilt
// from the index, and one that is there is never behind it. Without shared memory every
// look-up is a miss.
#pragma once
#include "shmem/shared_state.hpp"

namespace rill {

core::StreamKey stream_key(Oid chunk_table, int64 stream_id);

// Under the order lock: gives `count` consecutive ids, unless the stream is not in the
// table or its tail must be looked at first. `eof` marks the tail for whoever comes next.
bool give_ids(const core::StreamKey &key, int64 count, bool eof, int64 *first);

// Under the order lock: what the index said. Ids never go down.
void set_last_id(const core::StreamKey &key, int64 last_id, bool check_tail);

// A chunk was stored with an id from elsewhere (logical replication): a known last id is not to fall behind it.
void raise_last_id(const core::StreamKey &key, int64 id, bool check_tail);

// Rows may have come past this table: what it knows of the streams of one chunk table is read from the index again.
// Safe at any moment: whoever asks the index holds the order lock, and so finds the rows of every id given before.
void forget_table(Oid chunk_table);

// The tail is about to be closed or deleted by a transaction that has not ended yet.
void mark_tail(const core::StreamKey &key);

struct CachedIds {
    bool last_known;
    int64 last_id;           // highest id given, committed or not
    int64 readable_through;  // 0: not known
    bool check_tail;         // an EOF or a delete may stand at the tail
};
CachedIds lookup_ids(const core::StreamKey &key);

// A reader has found every id up to `id` decided and `id` readable.
void note_readable(const core::StreamKey &key, int64 id);

int64 cached_stream_count(Oid database);

}  // namespace rill
