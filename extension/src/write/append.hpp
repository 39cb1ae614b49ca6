// Appending to a stream: see append.cpp for the protocol, README for the argument.
#pragma once
#include "base/arguments.hpp"
#include "write/insert_chunks.hpp"
#include "write/outcome.hpp"
#include "write/producer.hpp"

namespace rill {

struct AppendRequest {
    StreamName stream;
    ChunkBatch chunks;            // if empty, the append is judged like any other, and nothing is stored
    const int64 *expected;        // the highest id stored, or null
    const Producer *producer;     // or null
    const WriterSeq *writer_seq;  // or null
    bool create_stream;           // if it is new
};

// Stores all chunks of the request, or none. A stream is created only for chunks that are stored.
AppendOutcome append(const AppendRequest &request);

}  // namespace rill
