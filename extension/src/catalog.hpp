// The extension's own tables: which they are, and the rows of table `stream`.
// Objects are found through the extension's schema, never through search_path.
#pragma once
#include "postgres_api.hpp"

namespace rill {

struct Tables {
    Oid schema;
    Oid stream;
    Oid stream_pkey;
    Oid stream_name_index;  // unique over the streams that are not deleted
    Oid chunk;
    Oid producer;
    bool row_security;      // table stream has row-level security switched on
};
// Valid until the next invalidation message; look it up again after anything that may accept one.
const Tables &tables();

// Counts invalidations of table stream, of roles and of memberships: what was derived from
// rights, policies or stream names under an older number is no longer to be trusted.
uint64 rights_generation();
// Counts every relation or function invalidation: for cached plans of policies.
uint64 plan_generation();

// Columns of table stream, in the order of the install script.
enum StreamColumn : AttrNumber {
    kStreamId = 1,
    kName,
    kOwner,
    kCreatedAt,
    kTrimmedThrough,
    kMaxAge,
    kMaxChunks,
    kMaxBytes,
    kDeleteAfterClose,
    kDeletedAt,
    kStreamColumns = kDeletedAt
};

// Columns of table stream_chunk.
enum ChunkColumn : AttrNumber { kChunkStream = 1, kChunkId, kChunkEpoch, kChunkAppendedAt, kChunkEof, kChunkData, kChunkColumns = kChunkData };

struct StreamRow {
    int64 id;
    int64 trimmed_through;  // every id up to here has been trimmed, 0: none
    bool own;               // written by this very transaction
};

// The live (not deleted) stream of that name under the snapshot. No rights are checked here.
bool find_stream(const char *name, int size, Snapshot snapshot, StreamRow *row);

// What stands in table stream for this id right now, whoever wrote it.
struct StreamFate {
    bool deleted;             // by a committed transaction, or by this one
    TransactionId undecided;  // a running transaction that creates or deletes it
    int64 trimmed_through;
};
StreamFate stream_fate(int64 stream_id);

}  // namespace rill
