// Waiting for streams, as the functions stream_wait and stream_wait_many and the procedures stream_await and
// stream_await_many do.
#pragma once
#include "read/requests.hpp"

namespace rill {

// What a bad cursor does: it raises its error, or it ends the wait and is reported by the request's `state`.
enum class BadCursors : bool { raised, reported };

// Waits until one of the streams has a chunk after its cursor: `head` of its request is then the highest readable id.
// When every cursor is at its stream's EOF, all requests have `ended` and the EOF's id as their head. False at the
// timeout. `before_sleep`, if given, ends the transaction's locks before each sleep (wait_loop.hpp).
bool wait_for_heads(const Requests &requests, int64 timeout, BadCursors bad, void (*before_sleep)());

// Whether a wait has something to say about this request.
inline bool is_ready(const Request &request) { return request.head > 0 || request.state != CursorState::good; }

}  // namespace rill
