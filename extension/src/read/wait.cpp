// stream_wait: waiting for one stream. The loop is wake/wait_loop.cpp.
#include "read/wait.hpp"

#include "base/boundary.hpp"
#include "read/read.hpp"
#include "wake/wait_loop.hpp"

namespace rill {

bool wait_for_one(const StreamName &name, int64 cursor, int64 timeout, void (*let_go)(), int64 *head) {
    return wait_until(&name.key, 1, timeout, let_go, [&] {
        *head = 0;
        StreamHint hint;
        if (cached_idle(name, cursor, &hint))
            return false;
        if (hint.stream_id == 0)
            hint = load_hint(name);
        ReadSnapshot snapshot;
        snapshot.begin();
        bool found;
        const VisibleStream stream = open_after(name, cursor, hint, snapshot, &found);
        CursorState state = check_cursor(stream, cursor);
        if (state == CursorState::good && stream.exists) {
            *head = find_head_after(snapshot, stream, cursor, hint, found);
            if (*head == 0)
                state = check_ahead(snapshot.chunks(), stream, cursor);
            if (*head == 0 && state == CursorState::good && is_eof(snapshot, stream, cursor))
                *head = cursor;
        }
        snapshot.end();
        if (state != CursorState::good)
            refuse_cursor(state, name, cursor);
        return *head > 0;
    });
}

}  // namespace rill

// stream_wait(stream text, chunk_id bigint, timeout interval) returns bigint
RILL_FUNCTION(pg_rill_wait) {
    using namespace rill;
    const StreamName name = stream_argument(fcinfo, 0);
    const int64 cursor = cursor_argument(fcinfo, 1, "chunk_id");
    const int64 timeout = timeout_argument(fcinfo, 2);
    int64 head = 0;
    if (!wait_for_one(name, cursor, timeout, nullptr, &head))
        PG_RETURN_NULL();
    return Int64GetDatum(head);
}
