// See stream_hint.hpp.
#include "read/stream_hint.hpp"

#include "shmem/id_cache.hpp"
#include "tables/privileges.hpp"
#include "tables/stream_cache.hpp"

namespace rill {

namespace {

// This session's entry for the stream, when nothing but the caller's privilege on the table decides about it.
const CachedStream *trusted_stream(const StreamName &name) {
    if (shared == nullptr || IsolationUsesXactSnapshot())
        return nullptr;
    AcceptInvalidationMessages();
    const CachedStream *cached = cached_stream(name);
    if (cached == nullptr)
        return nullptr;
    require_privilege(ACL_SELECT);
    return policies_apply() ? nullptr : cached;
}

}  // namespace

bool cached_idle(const StreamName &name, int64 cursor, StreamHint *hint) {
    *hint = {};
    const CachedStream *cached = trusted_stream(name);
    if (cached == nullptr)
        return false;
    const CachedIds ids = lookup_ids(stream_key(tables().chunk, cached->id));
    *hint = {cached->id, ids.readable_through, cached->generation};
    return ids.last_known && ids.last_id == cursor && !ids.check_tail;
}

StreamHint load_hint(const StreamName &name) {
    StreamHint hint;
    if (shared == nullptr || IsolationUsesXactSnapshot())
        return hint;
    if (const CachedStream *cached = trusted_stream(name))
        hint.stream_id = cached->id;
    else {
        ReadSnapshot snapshot;
        snapshot.begin();
        hint.stream_id = open_stream(name, snapshot).row.id;
        snapshot.end();
    }
    hint.readable_through = lookup_ids(stream_key(tables().chunk, hint.stream_id)).readable_through;
    return hint;
}

}  // namespace rill
