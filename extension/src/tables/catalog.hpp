// The extension's own tables: which they are, and the rows of table `stream`.
// Objects are found through the extension's schema, never through search_path.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

struct Tables {
    Oid schema;
    Oid stream;
    Oid stream_pkey;
    Oid stream_name_index;  // unique over the streams that are not deleted
    Oid stream_tombstones;  // by name, over those that are
    Oid chunk;
    Oid producer;
    bool row_security;  // table stream has row-level security switched on
};
// Valid until the next invalidation message; call it again after anything that may accept one.
const Tables &tables();

// Moves whenever table stream, a role, a membership of a role or the database's owner changes. What was derived from
// rights, from policies or from names of streams under another number must not be used.
uint64 rights_generation();

// Columns of table stream, in the order of the install script.
enum StreamColumn : AttrNumber {
    kStreamId = 1,
    kName,
    kOwner,
    kCreatedAt,
    kTrimmedThrough,
    kBeginsAfter,
    kMaxAge,
    kMaxChunks,
    kMaxBytes,
    kDeleteAfterClose,
    kCountedThrough,
    kCountedChunks,
    kCountedBytes,
    kDeletedAt,
    kPurged,
    kStreamColumns = kPurged
};

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

struct StreamRow {
    int64 id;
    int64 trimmed_through;  // every id up to here has been trimmed, 0: none
    int64 begins_after;     // ids up to here were an earlier stream's of this name, 0: none
    bool own;               // written by this very transaction
};

// The live (not deleted) stream of that name under the snapshot. No rights are checked here.
bool find_stream(const char *name, int size, Snapshot snapshot, StreamRow *row);

// The name of a stream that is not deleted, or null.
text *name_of_stream(int64 stream_id, Snapshot snapshot);

// The highest id ever given to deleted streams of that name; 0 when none is remembered.
int64 last_id_of_deleted(const char *name, int size, Snapshot snapshot);

// What stands in table stream for this id right now, whoever wrote it.
struct StreamFate {
    bool deleted;             // by a committed transaction, or by this one
    TransactionId undecided;  // a running transaction that creates or deletes it
    int64 trimmed_through;
};
StreamFate stream_fate(int64 stream_id);

}  // namespace rill
