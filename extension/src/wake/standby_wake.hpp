// On a hot standby no session's commit can wake a waiting session: the launcher watches replay instead.
#pragma once

namespace rill {

// Wakes every waiting session when a transaction has ended in replay since the last call. Returns the ms until the next
// call is due, or -1 when no call is needed.
long watch_replay();

}  // namespace rill
