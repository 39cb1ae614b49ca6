// See reserve_ids.hpp. Nearly always the id cache has the answer. The tables are read when the stream is not in the
// cache, when an EOF or a delete may be at the tail (the cache then gives no ids), and for `expected`, which compares
// with what is committed, while the cache knows only which ids were given.
#include "write/reserve_ids.hpp"

#include "shmem/id_cache.hpp"
#include "tables/catalog.hpp"
#include "tables/chunk_tail.hpp"
#include "tables/stream_rows.hpp"

namespace rill {

Decision reserve_ids(Relation chunks, int64 stream_id, const AppendRequest &request, const AppendOutcome *refusal,
                     int64 skip) {
    const core::StreamKey key = stream_key(RelationGetRelid(chunks), stream_id);
    const int64 count = request.chunks.count;
    int64 first_id;
    bool limited;
    if (skip == kFreeIds && request.expected == nullptr && refusal == nullptr && count > 0 &&
        give_ids(key, count, request.chunks.eof, &first_id, &limited))
        return store_from(first_id, limited);

    const CachedIds cached = lookup_ids(key);        // before the tables: see set_last_id()
    const Tail tail = read_tail(chunks, stream_id);  // before the row: see stream_fate()
    const StreamFate fate = stream_fate(stream_id);
    if (TransactionIdIsValid(fate.undecided))
        return retry_after(fate.undecided);
    if (fate.deleted)
        return reopen_stream();
    if (TransactionIdIsValid(tail.undecided))
        return retry_after(tail.undecided);
    if (tail.eof)
        return answer_with({AppendStatus::closed, true, tail.id, 0, 0});
    if (refusal != nullptr)
        return answer_with(*refusal);
    if (request.expected != nullptr) {
        const Stored stored = highest_stored(chunks, stream_id);
        if (TransactionIdIsValid(stored.undecided))
            return retry_after(stored.undecided);
        const int64 highest = Max(stored.id, fate.trimmed_through);
        if (highest != *request.expected)
            return answer_with({AppendStatus::mismatch, false, highest, 0, 0});
    }
    if (count == 0)
        return store_from(0);
    int64 last = Max(tail.any ? tail.id : 0, fate.trimmed_through);
    if (cached.last_known)
        last = Max(last, cached.last_id);
    skip = Max(skip, 0);
    if (last > PG_INT64_MAX - count - skip)
        ereport(ERROR, (errcode(ERRCODE_SEQUENCE_GENERATOR_LIMIT_EXCEEDED),
                        errmsg("stream \"%.*s\" has no chunk ids left", request.stream.size, request.stream.data),
                        errdetail("The highest id assigned is " INT64_FORMAT ".", last),
                        errhint("Append to another stream.")));
    last += skip;
    set_last_id(key, cached, last + count, request.chunks.eof, fate.limited);
    return store_from(last + 1, fate.limited);
}

}  // namespace rill
