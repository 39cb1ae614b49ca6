// The ids of streams that this session has used, by name, so that an append, or a read that follows, reads no row of
// table stream. An entry never outlives a committed delete or rename: those invalidate table stream (trigger
// stream_changed), and rights_generation() changes. While that trigger is disabled, entries are good for one call. A
// stream that this transaction created is forgotten if the transaction rolls back.
#pragma once
#include "base/arguments.hpp"

namespace rill {

struct CachedStream {
    uint64 key;  // hash key: StreamName::key
    char *name;
    int size;
    int64 id;
    uint64 generation;  // rights_generation() when it was looked up
    bool own;           // created by this transaction
    uint64 touched;     // see note_changed_stream()
};

CachedStream *cached_stream(const StreamName &name);
// `generation` is rights_generation() as it was before the snapshot under which `id` was found.
CachedStream *cache_stream(const StreamName &name, int64 id, bool own, uint64 generation);
void forget_stream(const StreamName &name);

void stream_cache_transaction_ended(bool committed);
void stream_cache_subtransaction_aborted();

}  // namespace rill
