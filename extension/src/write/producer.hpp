// Exactly-once appends (promise I10): what a named producer has stored in a stream.
// Each append of a producer leaves one row (stream, producer, epoch, seq) -> chunk id in table stream_producer, in the
// same transaction as its chunks. It is checked and inserted under the stream's append lock, so the check sees every
// row, committed or not. If one is undecided, the append releases the lock and waits for its transaction.
#pragma once
#include "base/arguments.hpp"
#include "write/outcome.hpp"

namespace rill {

inline constexpr int64 kKeptSequences = 1000;  // of each producer: repeats of older appends are no longer known

struct Producer {
    const char *name;
    int size;
    int32 epoch;
    int64 seq;
};

// The one sequence that the producer may append, by its last accepted append (sequence 0 when it is unknown).
inline int64 next_sequence(const Producer &producer, int32 last_epoch, int64 last_seq) {
    return producer.epoch == last_epoch ? last_seq + 1 : 1;
}

// Under the append lock, before ids are reserved.
Decision check_producer(int64 stream_id, const Producer &producer);
// Under the append lock, after the chunks: this append is stored.
void record_producer(int64 stream_id, const Producer &producer, int64 chunk_id);
// Without the lock: removes rows older than kKeptSequences, once in a while.
void prune_producer(int64 stream_id, const Producer &producer);

}  // namespace rill
