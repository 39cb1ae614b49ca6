// Exactly-once appends (promise I10): what a named producer has stored in a stream.
// Each append of a producer leaves one row (stream, producer, epoch, seq) -> chunk id in table
// stream_producer, in the same transaction as its chunks. It is judged and inserted under the
// stream's order lock, so the rows physically there are all there are; a row whose transaction
// is undecided is waited for, outside of the lock. The last kKeptSequences rows are kept.
#pragma once
#include "base/arguments.hpp"

namespace rill {

inline constexpr int64 kKeptSequences = 1000;

struct Producer {
    const char *name;
    int size;
    int32 epoch;
    int64 seq;
};

// Arguments first..first+2 (name, epoch, seq): all or none. Returns false when none is given.
bool producer_arguments(FunctionCallInfo fcinfo, int first, Producer *producer);

enum class ProducerState : uint8 { next, repeat, fenced, gap, undecided };
struct ProducerVerdict {
    ProducerState state;
    int64 id;                // of a repeat; 0 when it is too old to be known
    int32 epoch;             // highest epoch seen, for fenced
    int64 next_seq;          // for gap
    TransactionId wait_for;  // for undecided
};

// Under the order lock.
ProducerVerdict judge_producer(int64 stream_id, const Producer &producer);
// Under the order lock, after the chunks: this append is stored.
void record_producer(int64 stream_id, const Producer &producer, int64 id);
// Outside of the lock: forgets what is too old, now and then.
void prune_producer(int64 stream_id, const Producer &producer);

[[noreturn]] void refuse_producer(const ProducerVerdict &verdict, const Producer &producer);

}  // namespace rill
