// The last id given to a stream, from the shared id cache or else from the index.
#pragma once
#include "shmem/id_cache.hpp"

namespace rill {

// The stream's entry in the shared id cache, filled from the index if it was missing and no append holds the lock just
// now. `last_known` can still be false, and always is on a standby and without shared memory. Never waits.
CachedIds load_cached_ids(Relation chunks, const core::StreamKey &key, int64 trimmed_through);

}  // namespace rill
