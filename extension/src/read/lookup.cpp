// See lookup.hpp.
#include "read/lookup.hpp"

#include "read/head.hpp"
#include "tables/last_id.hpp"

namespace rill {

namespace {

constexpr int64 kShortBacklog = 100;  // chunks that are read sooner than another snapshot is taken

// The usual case for a reader that follows: the session knows the stream's id, and the next chunk is there. That costs
// no access to table stream. What made the cached id untrue moved the generation before the snapshot was taken, or
// commits beside it. That the next chunk is visible says that the cursor is not behind: trimmed_through moves in the
// transaction that deletes the chunks up to it.
bool open_at_next_chunk(ReadSnapshot &snapshot, Request *request) {
    if (request->cursor == 0 || request->hint.generation != snapshot.generation())
        return false;
    const MemoryContext old = MemoryContextSwitchTo(snapshot.memory());
    ChunkScan &scan = snapshot.scan();
    scan.start(request->hint.stream_id, request->cursor);
    const bool there = scan.next() && scan.id() == request->cursor + 1 && !scan.eof();
    if (there)
        scan.unread();
    MemoryContextSwitchTo(old);
    if (there)
        request->stream = {true, {request->hint.stream_id, 0, 0, false}};
    return there;
}

void open_request(ReadSnapshot &snapshot, Request *request) {
    if (open_at_next_chunk(snapshot, request))
        return;
    request->stream = find_visible_stream(request->name, snapshot);
    request->state = check_cursor(request->stream, request->cursor);
    if (request->state == CursorState::good && request->verify &&
        verify_cursor(snapshot, request->stream, request->cursor, request->epoch) == Verdict::diverged)
        request->state = CursorState::diverged;
    request->idle = !request->stream.exists || request->state != CursorState::good;
    // Under SERIALIZABLE finding nothing is a read as well: only a scan leaves the predicate lock behind.
    if (request->idle || IsolationIsSerializable())
        return;
    // At cursor 0 there is nearly always something: not worth asking the index for the last id.
    const core::StreamKey key = stream_key(RelationGetRelid(snapshot.chunks()), request->stream.row.id);
    const CachedIds ids = request->cursor > 0
                              ? load_cached_ids(snapshot.chunks(), key, request->stream.row.trimmed_through)
                              : lookup_ids(key);
    request->idle = ids.last_known && ids.last_id == request->cursor;
    if (request->idle && ids.check_tail)
        request->ended = is_eof(snapshot, request->stream, request->cursor);
}

}  // namespace

// Forgets the last lookup and marks the requests that certainly have nothing new. False when there is no other.
bool pass_over_idle(const Requests &requests) {
    const HintCache cache;
    bool busy = requests.count == 0;  // a call without streams is answered at once
    for (int i = 0; i < requests.count; ++i) {
        Request *request = &requests.list[i];
        request->hint = {};
        request->state = CursorState::good;
        request->found = request->left_out = request->ended = false;
        request->head = 0;
        request->idle = !request->open && cache.idle(request->name, request->cursor, &request->hint);
        busy = busy || !request->idle;
    }
    return busy;
}

// Returns how many requests are left to be served.
int open_streams(ReadSnapshot &snapshot, const Requests &requests) {
    int busy = 0;
    for (int i = 0; i < requests.count; ++i) {
        if (requests.list[i].idle)
            continue;
        CHECK_FOR_INTERRUPTS();
        open_request(snapshot, &requests.list[i]);
        busy += requests.list[i].idle ? 0 : 1;
    }
    return busy;
}

// Reads the hints of streams that this session had not cached when the lookup began. True when one is of use: then
// another snapshot must follow. Else none is left, since they are younger than this one.
bool load_hints(ReadSnapshot &snapshot, const Requests &requests) {
    if (IsolationUsesXactSnapshot())
        return false;
    bool useful = false;
    for (int i = 0; i < requests.count; ++i) {
        Request *request = &requests.list[i];
        if (request->idle || request->hint.stream_id != 0)
            continue;
        const int64 id = request->stream.row.id;
        request->hint.stream_id = id;
        request->hint.readable_through =
            lookup_ids(stream_key(RelationGetRelid(snapshot.chunks()), id)).readable_through;
        useful = useful || request->hint.readable_through > request->cursor + kShortBacklog;
    }
    for (int i = 0; !useful && i < requests.count; ++i)
        if (requests.list[i].hint.generation == 0)
            requests.list[i].hint = {};
    return useful;
}

// Nothing readable is after the cursor of a stream that was not known to be idle.
void check_empty(ReadSnapshot &snapshot, Request *request) {
    request->state = check_ahead(snapshot.chunks(), request->stream, request->cursor);
    request->ended = request->state == CursorState::good && is_eof(snapshot, request->stream, request->cursor);
}

// Successive multiples of the golden ratio are spread evenly, and so is every second or third of them. So each request
// has its turn even when a session makes several calls one after the other, again and again. Sessions that make only
// one call differ by their process ids.
int next_turn(int count) {
    static uint32 turn = 0;
    const uint32 spread = (turn++ + static_cast<uint32>(MyProcPid)) * 0x9E3779B9U;
    return static_cast<int>(static_cast<uint64>(spread) * static_cast<uint64>(count) >> 32);
}

bool has_answer(const Requests &requests) {
    bool found = false;
    bool ended = true;
    for (int i = 0; i < requests.count; ++i) {
        const Request &request = requests.list[i];
        if (request.state != CursorState::good)
            refuse_cursor(request.state, request.name, request.cursor);
        found = found || request.found;
        ended = ended && request.ended;
    }
    return found || ended;
}

}  // namespace rill
