// Appending to a stream: see append.cpp for the order of things.
#pragma once
#include "base/arguments.hpp"
#include "write/producer.hpp"

namespace rill {

struct Batch {
    const char *function;  // as the caller knows it
    const Datum *data;     // detoasted or not; `count` of them
    int count;
    bool eof;                  // on the last one
    bool close;                // stream_close: an EOF that is there already is the answer, not an error
    const int64 *expected;     // the highest id stored, or null
    const Producer *producer;  // or null
};

// Stores the batch and returns the last id; creates the stream if it is new. A producer's repeat
// stores nothing and returns what the first one did, or 0 when that is too long ago to be known.
int64 append(const StreamName &name, const Batch &batch);

// A chunk that was given its id elsewhere has been stored here by logical replication.
void note_foreign_chunk(Relation chunks, int64 stream_id, int64 id, bool eof);

}  // namespace rill
