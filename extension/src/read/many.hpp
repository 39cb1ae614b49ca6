// Many streams in one call: arguments, the cheap pass that finds out which of them can have
// anything new, and fair shares of the caps. Shared by stream_fetch, stream_read_many and
// stream_wait_many.
#pragma once
#include "read/read.hpp"

namespace rill {

struct Request {
    StreamName name;
    int64 cursor;
    StreamHint hint;  // for find_head_after
    bool idle;        // nothing can be after the cursor; `stream` may not have been looked up
    bool ended;       // the cursor is at the stream's EOF
    CursorState state;
    VisibleStream stream;
};

struct Requests {
    Request *list;
    int count;
};

// From two arrays of one length; the same stream twice, nulls and negative cursors are refused.
Requests request_arguments(FunctionCallInfo fcinfo, int streams, int cursors);

// First, with no snapshot: marks the streams that cannot have news. What this session has looked up before under the
// same rights costs one snapshot at the shared table. Returns whether any other is left.
bool pass_over_idle(const Requests &requests);
// Then looks up those that are left as the caller may see them, and marks those that cannot have news either.
void look_up_streams(ReadSnapshot &snapshot, const Requests &requests);

// After reading nothing from a stream that was not idle: is the cursor ahead, or at the EOF?
void judge_empty(ReadSnapshot &snapshot, Request *request);
// Raises the first error that look_up_streams or judge_empty found.
void refuse_bad_cursors(const Requests &requests);
// What to wait for.
uint64 *wait_keys(const Requests &requests);

// Waits until one of the streams has something. (*heads)[i] is the highest readable id of a stream
// that has, 0 of one that has not; when every cursor is at its stream's EOF, those EOFs' ids.
bool wait_for_many(const Requests &requests, int64 timeout, void (*let_go)(), int64 **heads);

// Calls fn(request, index) for each stream that is not idle, each time beginning with another one, until it returns
// false.
template <typename Fn>
void each_in_turn(const Requests &requests, Fn fn) {
    static uint32 turn = 0;
    const int begin = requests.count > 0 ? static_cast<int>(turn++ % static_cast<uint32>(requests.count)) : 0;
    for (int k = 0; k < requests.count; ++k) {
        const int i = begin + k < requests.count ? begin + k : begin + k - requests.count;
        if (requests.list[i].idle)
            continue;
        CHECK_FOR_INTERRUPTS();
        if (!fn(&requests.list[i], i))
            return;
    }
}

// Calls read(request, index, &share) for each stream that is not idle, with its share of *caps: an
// equal part of what is left, so that one that has much does not starve those after it, and what
// one leaves over goes to the others.
template <typename Read>
void share_fairly(const Requests &requests, Caps caps, Read read) {
    int busy = 0;
    for (int i = 0; i < requests.count; ++i)
        busy += requests.list[i].idle ? 0 : 1;
    each_in_turn(requests, [&](Request *request, int i) {
        const Caps share = {Max(caps.chunks / busy, 1), Max(caps.bytes / busy, 1)};
        Caps left = share;
        read(request, i, &left);
        caps.chunks -= share.chunks - left.chunks;
        caps.bytes -= share.bytes - left.bytes;
        --busy;
        return caps.chunks > 0 && caps.bytes > 0;
    });
}

}  // namespace rill
