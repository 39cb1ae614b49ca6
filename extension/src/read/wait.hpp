// Waiting for one stream, as stream_wait and stream_await do.
#pragma once
#include "base/arguments.hpp"

namespace rill {

// The wait of stream_wait and stream_await: *head is the highest readable id, or the EOF's when
// the cursor is at it.
bool wait_for_one(const StreamName &name, int64 cursor, int64 timeout, void (*let_go)(), int64 *head);

}  // namespace rill
