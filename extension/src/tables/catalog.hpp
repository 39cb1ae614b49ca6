// Which relations are the extension's own, and when data derived from them is out of date.
#pragma once
#include "shmem/id_cache.hpp"

namespace rill {

struct Tables {
    Oid schema;
    Oid stream;
    Oid stream_pkey;
    Oid stream_name_index;
    Oid state;
    Oid state_pkey;
    Oid tombstones;  // index of state: by the name that a deleted stream had
    Oid chunk;
    Oid producer;
    bool row_security;    // table stream has row-level security switched on
    bool names_watched;   // the triggers that report changes of table stream are enabled
    bool ids_watched;     // so are those that report chunks stored by others
    uint32 id_source;     // changes whenever a trigger of ids_watched does
    Oid own_triggers[4];  // functions of the extension's own triggers (own_triggers.hpp)
};
// For the two functions below.
struct CatalogCache {
    Tables tables;
    bool valid;
    uint64 rights;
};
extern CatalogCache catalog_cache;
const Tables &load_tables();

// Looked up in the extension's schema, never through search_path. Raises when one does not exist, or is no longer what
// the extension created. Valid until the next invalidation message: call it again after anything that may accept one.
inline const Tables &tables() { return catalog_cache.valid ? catalog_cache.tables : load_tables(); }

// A trigger with this function is the extension's own. They are for rows that others write, and not fired by appends.
bool is_own_trigger(Oid function);

// The key of a stream in the id cache. The cache is told of rows that others store by triggers; while one of those is
// disabled, the key is that of no entry (the ids are then read from the index), and it is another one afterwards: so
// what was cached before rows were loaded past the triggers, as pg_restore --disable-triggers does, is never used
// again. To write to the cache, hold a lock on the table that ALTER TABLE waits for (RowExclusiveLock).
inline core::StreamKey stream_key(Oid chunk_table, int64 stream_id) {
    const Tables &found = tables();
    return {found.ids_watched ? MyDatabaseId : InvalidOid, chunk_table ^ found.id_source, stream_id};
}

// Changes whenever one of the tables, a role, a membership of a role or the database's owner changes, or a stream is
// renamed or deleted. Anything derived from rights, policies or names of streams must be kept with the number read
// beforehand, and must not be used once the number has changed.
inline uint64 rights_generation() { return catalog_cache.rights; }

// Columns of table stream, in the order of the install script.
enum StreamColumn : AttrNumber { kStreamId = 1, kName, kOwner, kCreatedAt, kMetadata, kStreamColumns = kMetadata };

// Columns of table stream_state.
enum StateColumn : AttrNumber {
    kStateStream = 1,
    kTrimmedThrough,
    kBeginsAfter,
    kMaxAge,
    kMaxChunks,
    kMaxBytes,
    kDeleteAfterClose,
    kMaxIdle,
    kExpiresAt,
    kCountedThrough,
    kCountedChunks,
    kCountedBytes,
    kTouchedAt,
    kNextDue,
    kDeletedAt,
    kDeletedName,
    kPurged,
    kStateColumns = kPurged
};
inline constexpr int kLimits = kExpiresAt - kMaxAge + 1;

// Columns of table stream_chunk.
enum ChunkColumn : AttrNumber {
    kChunkStream = 1,
    kChunkId,
    kChunkEpoch,
    kChunkAppendedAt,
    kChunkEof,
    kChunkData,
    kChunkColumns = kChunkData
};

}  // namespace rill
