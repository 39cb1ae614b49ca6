// Enforcing the limits of a stream (max_age, max_chunks, max_bytes, delete_after_close, max_idle, expires_at), and
// deciding when that has to be done next.
#pragma once
#include "retention/enforced.hpp"

namespace rill {

// Removes at most a batch of what the stream's limits no longer allow, in the current transaction, and records when the
// stream is due next. Waits for no other session.
Enforced enforce_limits(int64 stream_id);

// Whether the recorded time when the stream is due next is early enough, whatever has been appended to it.
bool is_due_in_time(int64 stream_id);

}  // namespace rill
