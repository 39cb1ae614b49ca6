// The launcher's part of listening: a notifier for each database that has a listening session.
#pragma once

namespace rill {

// Allocates in the current memory context, which must live as long as the process.
void begin_supervision();

// Starts the notifiers that are missing. Returns the ms until the next call is due.
long supervise_notifiers();

}  // namespace rill
