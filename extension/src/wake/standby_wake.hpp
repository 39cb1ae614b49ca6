// On a hot standby no session's commit can wake a waiting session: the launcher watches replay instead.
#pragma once

namespace rill {

// Wakes every waiting session when a transaction has ended in replay since the last call. Returns in how many ms it
// wants to be called again; -1 when there is nothing to watch.
long watch_replay();

}  // namespace rill
