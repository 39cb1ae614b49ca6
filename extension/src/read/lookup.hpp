// Looking up what is new for the requests of a call, in one way for every function that reads or waits:
//
//   1. without a snapshot, streams that certainly have nothing new are passed over (pass_over_idle);
//   2. under one snapshot the others are opened as the caller may see them, and their cursors checked (open_streams);
//   3. the function's own `serve` reads what it wants from each that is left, one after the other;
//   4. where it found nothing, the cursor may be ahead of the stream or at its EOF (check_empty).
//
// What came of it stands in the requests. Bad cursors are for the caller to raise (has_answer) or to report.
//
// Must survive: 100,000 requests (an idle stream costs one access to the session's cache and one to the shared id
// cache); streams that are deleted, created again, trimmed or closed between two lookups of one wait; rights and
// policies that change meanwhile; errors at any point.
#pragma once
#include "read/read_snapshot.hpp"
#include "read/requests.hpp"

namespace rill {

// What `serve` found for a request; `left_out` is something that the call's caps have no room for. After `enough` the
// remaining requests are not served, and count as left out.
enum class Served : uint8 { nothing, left_out, some, enough };

// With `wanted`, a long backlog is not read without a hint even if this session has not cached its stream.
enum class Hints : bool { cached, wanted };

// Calls serve(request, index, left) for each request that may have something new; `left` says how many are still to be
// served, this one included. Each call begins with another request, so that one that always has something does not keep
// the others from their turn. The scan of the snapshot may stand on a request's first chunk already: a start() there
// costs no second search. `serve` may keep the snapshot, which else ends here, after conclude() was called under it.
// False when no request could have anything.
template <typename Serve, typename Conclude>
bool look_up(const Requests &requests, ReadSnapshot *snapshot, Serve serve, Hints hints, MemoryContext memory,
             Conclude conclude);
template <typename Serve>
bool look_up(const Requests &requests, ReadSnapshot *snapshot, Serve serve, Hints hints = Hints::cached,
             MemoryContext memory = CurrentMemoryContext) {
    return look_up(requests, snapshot, serve, hints, memory, [] {});
}

// After a lookup: raises the first error of a cursor that it met. True when there is something to answer with: a stream
// has something new, or all have ended.
bool has_answer(const Requests &requests);

// ---- what look_up() consists of

bool pass_over_idle(const Requests &requests);
int open_streams(ReadSnapshot &snapshot, const Requests &requests);
bool lacks_hint(const Requests &requests);
bool load_hints(ReadSnapshot &snapshot, const Requests &requests);
void check_empty(ReadSnapshot &snapshot, Request *request);
int next_turn(int count);

template <typename Serve, typename Conclude>
bool look_up(const Requests &requests, ReadSnapshot *snapshot, Serve serve, Hints hints, MemoryContext memory,
             Conclude conclude) {
    if (!pass_over_idle(requests))
        return false;
    snapshot->begin(memory);
    int left = open_streams(*snapshot, requests);
    if (hints == Hints::wanted && lacks_hint(requests) && load_hints(*snapshot, requests)) {
        // A hint is good for snapshots that are taken after it was read.
        snapshot->end();
        snapshot->begin(memory);
        left = open_streams(*snapshot, requests);
    }
    bool enough = false;
    for (int i = next_turn(requests.count); left > 0; i = i + 1 < requests.count ? i + 1 : 0) {
        Request *request = &requests.list[i];
        if (request->idle)
            continue;
        CHECK_FOR_INTERRUPTS();
        const Served served = enough ? Served::left_out : serve(request, i, left);
        --left;
        request->found = served >= Served::some;
        request->left_out = served == Served::left_out;
        if (served == Served::nothing)
            check_empty(*snapshot, request);
        enough = enough || served == Served::enough;
    }
    conclude();
    if (!snapshot->kept())
        snapshot->end();
    return true;
}

inline bool lacks_hint(const Requests &requests) {
    for (int i = 0; i < requests.count; ++i)
        if (!requests.list[i].idle && requests.list[i].hint.stream_id == 0)
            return true;
    return false;
}

}  // namespace rill
