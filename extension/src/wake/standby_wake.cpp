// See standby_wake.hpp.
// Only decoding WAL would show which streams a replayed transaction changed, so all waiting sessions check theirs; a
// check that finds nothing is two index probes. The more sessions wait, the less often replay is checked, so that
// checking costs at most a fixed part of a CPU.
#include "wake/standby_wake.hpp"

#include "base/pg_compat.hpp"
#include "base/settings.hpp"
#include "shmem/wait_list.hpp"

namespace rill {

namespace {

constexpr long kShortestInterval = 10;  // ms
constexpr long kSessionsPerMillisecond = 20;

}  // namespace

long watch_replay() {
    static uint64 seen = 0;
    const long waiting = waiting_sessions();
    if (waiting == 0 || !wakeups || !RecoveryInProgress())
        return -1;
    const uint64 ended = ended_transactions();
    if (ended != seen) {
        seen = ended;
        (void) wake_database(InvalidOid);
    }
    return Min(Max(waiting / kSessionsPerMillisecond, kShortestInterval), static_cast<long>(recheck_interval));
}

}  // namespace rill
