// Waiting for streams, as the functions stream_wait and stream_wait_many and the procedures stream_await and
// stream_await_many do.
#pragma once
#include "read/requests.hpp"

namespace rill {

// Waits until one of the streams has a chunk after its cursor: `head` of its request is then the highest readable id.
// When every cursor is at its stream's EOF, all requests have `ended` and the EOF's id as their head. False at the
// timeout. `before_sleep`, if given, ends the transaction's locks before each sleep (wait_loop.hpp).
bool wait_for_heads(const Requests &requests, int64 timeout, void (*before_sleep)());

}  // namespace rill
