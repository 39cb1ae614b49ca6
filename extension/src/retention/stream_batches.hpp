// Works on a list of streams in transactions that are bounded by the rows they remove, and passes over streams at which
// an error was raised.
#pragma once
#include "retention/enforced.hpp"
#include "retention/retention_worker.hpp"
#include "shmem/launcher_state.hpp"

namespace rill {

struct BatchContext {
    DatabaseSlot *slot;
    PassPosition position;
    core::Failures failures;
    int64 end_at;      // of the pass, by the monotonic clock
    bool unavailable;  // the tables could not be locked
    bool failed;       // an error that was not at a stream
    BatchStart start;  // of the last in_batch()
};

// Where a stream to be tried again later is put: nothing, if the tables tell; else the set that it was taken out of.
enum class IfLeft : uint8 { nothing, queue, touch };
// Calls work(id) for each stream, inside a transaction, until the time is up or the tables are not available. Returns
// how many have had their turn.
int work_on_streams(BatchContext *context, Enforced (*work)(int64 id), const int64 *ids, int count, IfLeft left);

// Runs `body` in a transaction; false if that failed.
bool run_in_batch(BatchContext *context, void (*body)(void *state), void *state);
template <typename Body>
bool in_batch(BatchContext *context, Body body) {
    static_assert(std::is_trivially_destructible_v<Body>);
    return run_in_batch(
        context, [](void *state) { (*static_cast<Body *>(state))(); }, &body);
}

}  // namespace rill
