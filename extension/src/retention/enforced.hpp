// What one transaction of the retention worker did for a stream.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

struct Enforced {
    int64 chunks;   // removed
    int64 streams;  // deleted
    bool more;      // there is more to do at once, in another transaction
    bool blocked;   // to be tried again later: another session has locked something, or a chunk is undecided
    bool tried;     // all that there was to do; false tells nothing about whether that would fail
};

}  // namespace rill
