// What is known of a stream without a snapshot: its id from this session's cache, and from shared memory how far its
// chunks are decided. A hint saves work (a snapshot for a stream with nothing new, a scan of a long backlog) and never
// decides what is shown.
//
// Why it is right. A hint is read before the snapshot S is taken. Whoever noted that all ids up to n are decided saw it
// under a snapshot older than S, so they are decided under S as well. The session's cache gives an id for a name only
// while rights_generation() is unchanged, and only when no policy decides; the hint carries the id along, since the
// name can mean another stream by the time S is taken. Under REPEATABLE READ S can be older than any hint: there is
// none.
#pragma once
#include "read/visible_stream.hpp"
#include "shmem/id_cache.hpp"
#include "tables/stream_cache.hpp"

namespace rill {

struct StreamHint {
    int64 stream_id = 0;         // 0: not known
    int64 readable_through = 0;  // every id up to here is decided, and this chunk is readable; 0: not known
    uint64 generation = 0;       // rights_generation() under which this session's cache has the stream; 0: it has not

    // readable_through for this stream, 0 when the hint is about another.
    [[nodiscard]] int64 decided(const VisibleStream &stream) const {
        return stream.row.id == stream_id ? readable_through : 0;
    }
};

// This session's cache, for one pass over the streams of a call.
class HintCache {
public:
    // The cache may be used as long as nothing but the caller's privilege on table stream decides, and not under
    // REPEATABLE READ. Raises 42501 when the privilege is not there. Good until invalidations are accepted.
    HintCache();
    [[nodiscard]] bool usable() const { return OidIsValid(chunks_); }

    // True when there is certainly nothing after the cursor and no EOF at it, since no id above it has been given.
    // False when that is not known. Fills *hint as far as it is known.
    bool idle(const StreamName &name, int64 cursor, StreamHint *hint) const {
        const CachedStream *cached = usable() ? cached_stream(name) : nullptr;
        if (cached == nullptr)
            return false;
        const CachedIds ids = lookup_ids(stream_key(chunks_, cached->id));
        *hint = {cached->id, ids.readable_through, cached->generation};
        return ids.last_known && ids.last_id == cursor && !ids.check_tail;
    }

private:
    Oid chunks_;
};

// The hint for a stream whether or not it is cached; may take a snapshot of its own to find the id.
StreamHint load_hint(const StreamName &name);

}  // namespace rill
