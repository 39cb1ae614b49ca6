// See standby_wake.hpp.
// Which streams a replayed transaction touched is not known without decoding its WAL, so all waiters look; each look of
// one that has nothing is two index probes. Many waiters make the watch slower, so that looking costs at the most a
// fixed part of a CPU.
#include "wake/standby_wake.hpp"

#include "base/pg_compat.hpp"
#include "base/settings.hpp"
#include "shmem/wait_list.hpp"

namespace rill {

namespace {

constexpr long kShortestWatch = 10;  // ms
constexpr long kWaitersEachMillisecond = 20;

}  // namespace

long watch_replay() {
    static uint64 seen = 0;
    const long waiting = static_cast<long>(pg_atomic_read_u32(&shared->waiting));
    if (waiting == 0 || !wakeups || !RecoveryInProgress())
        return -1;
    const uint64 ended = ended_transactions();
    if (ended != seen) {
        seen = ended;
        (void) wake_database(InvalidOid);
    }
    return Min(Max(waiting / kWaitersEachMillisecond, kShortestWatch), static_cast<long>(recheck_interval));
}

}  // namespace rill
