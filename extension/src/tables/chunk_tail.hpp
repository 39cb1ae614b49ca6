// The tail of a stream, from its highest rows in the index, whether or not the transactions that inserted them
// committed: the last id given and stored, an EOF, and which transaction has yet to decide about it. No snapshot is
// used: an append must know about rows that a snapshot would hide. The answer holds only under the stream's append
// lock; without it rows may be added meanwhile.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

// The physically highest row of a stream, whether or not its inserter committed.
struct Tail {
    bool any;
    int64 id;
    TimestampTz appended_at;
    bool eof;                 // an EOF that is committed, or this transaction's own
    TransactionId undecided;  // a running transaction that has put an EOF there
};
Tail read_tail(Relation chunks, int64 stream_id);

// The highest id that is stored and committed, or this transaction's own; deleted ones count.
struct Stored {
    int64 id;                 // 0: none
    TransactionId undecided;  // a running transaction has appended above it
};
Stored highest_stored(Relation chunks, int64 stream_id);

}  // namespace rill
