// stream_read_since. See read.hpp.
#include "read/read.hpp"

#include "base/boundary.hpp"
#include "base/pg_compat.hpp"
#include "read/chunk_rows.hpp"
#include "tables/privileges.hpp"
#include "wake/wait_loop.hpp"

namespace rill {

VisibleStream open_after(const StreamName &name, int64 cursor, const StreamHint &hint, ReadSnapshot &snapshot,
                         bool *found) {
    // The usual case for a reader that follows costs no snapshot at table stream. The session's cache tells the id:
    // what made it untrue moved the generation before this snapshot began, or commits beside it. That the next chunk is
    // visible tells that the cursor is not behind: trimmed_through moves in the transaction that deletes the chunks up
    // to it.
    *found = false;
    if (cursor > 0 && hint.generation == snapshot.generation()) {
        const MemoryContext old = MemoryContextSwitchTo(snapshot.memory());
        ChunkScan &scan = snapshot.scan();
        scan.start(hint.stream_id, cursor);
        *found = scan.next() && scan.id() == cursor + 1 && !scan.eof();
        MemoryContextSwitchTo(old);
        if (*found)
            return {true, {hint.stream_id, 0, 0, false}};
    }
    return open_stream(name, snapshot);
}

ReadRequest read_arguments(FunctionCallInfo fcinfo) {
    return {stream_argument(fcinfo, 0),
            cursor_argument(fcinfo, 1, "chunk_id"),
            {cap_argument(fcinfo, 2, "max_chunks", true), cap_argument(fcinfo, 3, "max_bytes", false)},
            timeout_argument(fcinfo, 4)};
}

}  // namespace rill

// stream_read_since(stream text, chunk_id bigint, max_chunks int, max_bytes bigint, timeout interval) returns setof
// record In a FROM clause read_scan.cpp usually takes its place.
RILL_FUNCTION(pg_rill_read_since) {
    using namespace rill;
    const ReadRequest request = read_arguments(fcinfo);
    ChunkRows rows(begin_srf(fcinfo));
    (void) wait_until(&request.name.key, 1, request.timeout, nullptr, [&] {
        ReadSnapshot snapshot;
        return look_for_first(request, &snapshot, nullptr, [&](const VisibleStream &stream, bool found) {
            Caps caps = request.caps;
            return read_prefix(
                       snapshot, stream, request.cursor, &caps,
                       [&](const ChunkScan &chunk) { rows.put(nullptr, chunk); }, found) > 0;
        });
    });
    return static_cast<Datum>(0);
}
