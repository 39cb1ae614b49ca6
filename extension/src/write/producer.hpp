// What table stream_producer remembers of a stream's appends.
// Exactly-once appends (promise I10): what a named producer has stored in a stream.
// Each append of a producer leaves one row (stream, producer, epoch, seq) -> chunk id in table stream_producer, in the
// same transaction as its chunks. It is checked and inserted under the stream's append lock, so the check sees every
// row, committed or not. If one is undecided, the append releases the lock and waits for its transaction.
// writer_seq: an append is stored only if its writer_seq is above the last one given, whoever the writer is. The rows
// are those of a producer without a name, which nobody else can be: epoch 0, and the chunk id as sequence. The newest
// one has the last writer_seq. Older ones are of no use.
#pragma once
#include "base/arguments.hpp"
#include "write/outcome.hpp"

namespace rill {

inline constexpr int64 kKeptSequences = 1000;  // of each producer: repeats of older appends are no longer known

inline constexpr char kNoProducer[] = "";  // the name in the rows of writer_seq

// Columns of table stream_producer. The first four are its key.
enum ProducerColumn : AttrNumber {
    kProducerStream = 1,
    kProducerName,
    kProducerEpoch,
    kProducerSeq,
    kProducerChunk,
    kProducerWriterSeq,
    kProducerColumns = kProducerWriterSeq
};

struct Producer {
    const char *name;
    int size;
    int64 epoch;
    int64 seq;
};

struct WriterSeq {
    const char *data;  // compared bytewise
    int size;
};

// Under the append lock, before ids are reserved: fenced, repeat, or gap. The outcome has the last append in any case.
Decision check_producer(int64 stream_id, const Producer &producer);
// Likewise: stale.
Decision check_writer_seq(int64 stream_id, const WriterSeq &writer_seq);
// After an append, without the lock: removes rows of earlier epochs when an epoch has stored its first chunk; and rows
// older than kKeptSequences, or than the last writer_seq, once in a while.
void prune_producer(int64 stream_id, const Producer &producer);
void prune_writer_seq(int64 stream_id, int64 last_id);

// The producer's last accepted append under the snapshot; false when it is unknown.
struct LastAppend {
    int64 epoch;
    int64 seq;
    int64 chunk_id;
};
bool last_append(int64 stream_id, const StreamName &producer, Snapshot snapshot, LastAppend *last);
// When an epoch has begun, without the lock: removes the rows of earlier ones, all but that of the last accepted
// append. So an instance that restarts again and again, and appends little or nothing, leaves few.
void prune_earlier_epochs(int64 stream_id, const StreamName &producer, int64 epoch, const LastAppend &last);
// Under the append lock: the epoch above all earlier ones, and the producer's last accepted append, of sequence 0 if
// there is none. Either `store` or `wait`.
Decision find_next_epoch(int64 stream_id, const StreamName &producer, LastAppend *last, int64 *epoch);

}  // namespace rill
