// See stream_hint.hpp.
#include "read/stream_hint.hpp"

#include "tables/privileges.hpp"

namespace rill {

HintCache::HintCache() {
    AcceptInvalidationMessages();
    require_privilege(ACL_SELECT);
    const Tables &found = tables();
    const bool usable = shared != nullptr && !IsolationUsesXactSnapshot() && !(found.row_security && policies_apply());
    chunks_ = usable ? found.chunk : InvalidOid;
}

StreamHint load_hint(const StreamName &name) {
    StreamHint hint;
    if (shared == nullptr || IsolationUsesXactSnapshot())
        return hint;
    if (const CachedStream *cached = HintCache().usable() ? cached_stream(name) : nullptr)
        hint.stream_id = cached->id;
    else {
        ReadSnapshot snapshot;
        snapshot.begin();
        hint.stream_id = find_visible_stream(name, snapshot).row.id;
        snapshot.end();
    }
    hint.readable_through = lookup_ids(stream_key(tables().chunk, hint.stream_id)).readable_through;
    return hint;
}

}  // namespace rill
