// The outcome of an append, as a value: the protocol (append.cpp) decides, and only append_functions.cpp turns outcomes
// into rows and errors.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

// In the order of judgement: where several apply, the first one is the answer.
enum class AppendStatus : uint8 {
    stored,    // chunk_id is the last one's; 0 for an empty batch
    missing,   // the stream is not to be created, and there is none that the caller may see
    fenced,    // the producer has been seen with a higher epoch
    repeat,    // of a producer's append: chunk_id is what the first one returned, 0 when that is no longer known
    closed,    // chunk_id is the EOF's
    gap,       // the producer's sequence is not the next one
    stale,     // writer_seq is not above the last one
    mismatch,  // with `expected`: chunk_id is the highest id stored
};

struct AppendOutcome {
    AppendStatus status;
    bool closed;  // whether the stream is closed after the call
    int64 chunk_id;
    int64 producer_epoch;  // of the producer's last accepted append, this one included
    int64 producer_seq;    // likewise; 0 without a producer and when it is unknown
};

// What a check under the append lock leads to.
enum class NextStep : uint8 {
    store,   // the append may store
    answer,  // the outcome is known and nothing is stored
    wait,    // a transaction has to end first
    reopen,  // the stream has been deleted: its name may mean another one, or none
};

struct Decision {
    NextStep next;
    int64 first_id;          // store
    bool limited;            // store: the stream has limits
    TransactionId wait_for;  // wait
    AppendOutcome outcome;   // answer; the producer's last append also with store
};

inline Decision store_from(int64 first_id, bool limited = false) {
    return {NextStep::store, first_id, limited, InvalidTransactionId, {}};
}
inline Decision answer_with(const AppendOutcome &outcome) {
    return {NextStep::answer, 0, false, InvalidTransactionId, outcome};
}
inline Decision retry_after(TransactionId transaction) { return {NextStep::wait, 0, false, transaction, {}}; }
inline Decision reopen_stream() { return {NextStep::reopen, 0, false, InvalidTransactionId, {}}; }

}  // namespace rill
