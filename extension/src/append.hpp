// Appending to a stream: see append.cpp for the order of things.
#pragma once
#include "arguments.hpp"
#include "sequence_table.hpp"

namespace rill {

struct Batch {
    const Datum *data;  // detoasted or not; `count` of them
    int count;
    bool eof;           // on the last one
    bool close;         // stream_close: an EOF that is there already is the answer, not an error
};

// Stores the batch and returns the last id. Creates the stream if it is new.
int64 append(const StreamName &name, const Batch &batch);

// The stream's place in the shared sequence table, filled from the index if it was not there and
// nobody appends just now: `last_known` can still be false.
SequenceView load_sequence(Relation chunks, const core::StreamKey &key, int64 trimmed_through);

}  // namespace rill
