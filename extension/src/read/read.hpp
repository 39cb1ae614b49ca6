// What stream_read_since does, as a function and as a plan node.
#pragma once
#include "base/arguments.hpp"
#include "read/cursor.hpp"
#include "read/head.hpp"
#include "read/stable_prefix_scan.hpp"

namespace rill {

// The same for reading after a cursor; `hint` is as cached_idle() left it. When *found comes back true, snapshot.scan()
// stands on the first chunk after the cursor.
VisibleStream open_after(const StreamName &name, int64 cursor, const StreamHint &hint, ReadSnapshot &snapshot,
                         bool *found);

// The arguments of stream_read_since.
struct ReadRequest {
    StreamName name;
    int64 cursor;
    Caps caps;
    int64 timeout;
};
ReadRequest read_arguments(FunctionCallInfo fcinfo);

// One snapshot of stream_read_since: `read(stream, found)` tells whether it has found a chunk; with `found`,
// snapshot->scan() stands on the first. True when there is one, or the stream has ended at the cursor. Raises what is
// wrong with the cursor. With `keep`, a snapshot that has found a chunk goes on, in that memory.
template <typename Read>
bool look_for_first(const ReadRequest &request, ReadSnapshot *snapshot, MemoryContext keep, Read read) {
    StreamHint hint;
    if (cached_idle(request.name, request.cursor, &hint))
        return false;
    snapshot->begin(keep != nullptr ? keep : CurrentMemoryContext);
    bool found = false;
    bool ended = false;
    const VisibleStream stream = open_after(request.name, request.cursor, hint, *snapshot, &found);
    CursorState state = check_cursor(stream, request.cursor);
    if (state == CursorState::good && stream.exists) {
        const MemoryContext old = MemoryContextSwitchTo(snapshot->memory());
        found = read(stream, found);
        MemoryContextSwitchTo(old);
        if (!found)
            state = check_ahead(snapshot->chunks(), stream, request.cursor);
        if (!found && state == CursorState::good)
            ended = is_eof(*snapshot, stream, request.cursor);
    }
    if (found && keep != nullptr)
        snapshot->keep();
    else
        snapshot->end();
    if (state != CursorState::good)
        refuse_cursor(state, request.name, request.cursor);
    return found || ended;
}

}  // namespace rill
