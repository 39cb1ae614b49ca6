// Appending to a stream: see append.cpp for the protocol, README for the argument.
#pragma once
#include "base/arguments.hpp"
#include "write/insert_chunks.hpp"
#include "write/outcome.hpp"
#include "write/producer.hpp"

namespace rill {

struct AppendRequest {
    StreamName stream;  // created if it is new
    ChunkBatch chunks;
    const int64 *expected;     // the highest id stored, or null
    const Producer *producer;  // or null
};

// Stores all chunks of the request, or none.
AppendOutcome append(const AppendRequest &request);

}  // namespace rill
