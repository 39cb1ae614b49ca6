// See visible_stream.hpp.
#include "read/visible_stream.hpp"

#include "tables/privileges.hpp"
#include "tables/stream_cache.hpp"

namespace rill {

VisibleStream find_visible_stream(const StreamName &name, ReadSnapshot &snapshot) {
    VisibleStream stream = {false, {}};
    require_privilege(ACL_SELECT);
    const bool plain = !policies_apply();
    stream.exists = find_stream(name.data, name.size, snapshot.snapshot(), &stream.row) &&
                    (plain || snapshot.may_see(stream.row.id));
    // Not under REPEATABLE READ: its snapshot can be older than what the cache's generation has counted.
    if (stream.exists && plain && !stream.row.own && !IsolationUsesXactSnapshot())
        (void) cache_stream(name, stream.row.id, false, snapshot.generation());
    return stream;
}

}  // namespace rill
