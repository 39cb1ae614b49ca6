// The streams of one call, each with the cursor to read after. A function for one stream makes a call with one request.
#pragma once
#include "read/cursor.hpp"
#include "read/stream_hint.hpp"

namespace rill {

struct Request {
    StreamName name;
    int64 cursor;
    bool open;    // to be opened even if it is known to be idle, for its id or its cursor's epoch
    bool verify;  // the cursor is to be of this epoch; only with `open`
    int32 epoch;

    // What the last lookup found (lookup.hpp).
    CursorState state;
    bool idle;      // nothing can be after the cursor
    bool found;     // something is
    bool left_out;  // something may be, but the caps were used up
    bool ended;     // the cursor is at the stream's EOF
    int64 head;     // for waits: the highest readable id after the cursor, 0 if there is none
    StreamHint hint;
    VisibleStream stream;  // not set when `idle` was known without a snapshot
};

struct Requests {
    Request *list;
    int count;
};

inline Request make_request(const StreamName &name, int64 cursor) {
    Request request = {};
    request.name = name;
    request.cursor = cursor;
    return request;
}

// From two arrays of one length. Refuses nulls, negative cursors, and the same stream twice.
Requests request_arguments(FunctionCallInfo fcinfo, int streams, int cursors);
// From a third array, null elements meaning "not known": the epochs that the cursors are verified with. All requests
// are to be opened then.
void epoch_argument(FunctionCallInfo fcinfo, int n, const Requests &requests);

// What to wait for: the streams' keys.
const uint64 *wait_keys(const Requests &requests);

}  // namespace rill
