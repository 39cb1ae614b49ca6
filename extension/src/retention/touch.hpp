// stream_touch: what the worker does about it.
#pragma once
#include "retention/enforced.hpp"

namespace rill {

// Records that the stream was used, now. Another session's lock on its row: later.
Enforced record_touch(int64 stream_id);

}  // namespace rill
