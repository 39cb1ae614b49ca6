// A call's caps, shared out among its requests. The caps are totals. Each request is served with an equal part of what
// is left, so that one that has much does not starve those after it, and what one leaves over goes to the others. A
// chunk larger than the part may use all that is left. Only the first chunk of the call may be larger than that, so
// that the call makes progress; any other waits until the turn begins with its stream (next_turn() in lookup.hpp).
#pragma once
#include "read/lookup.hpp"
#include "read/stable_prefix_scan.hpp"

namespace rill {

class FairShares {
public:
    explicit FairShares(const Caps &caps) : left_(caps) {}

    // Calls read(&share), which lowers its share by what it uses and returns what it has read. `busy` requests, this
    // one included, are still to be served.
    template <typename Read>
    Served serve(int busy, Read read) {
        const Caps share = {Max(left_.chunks / busy, 1), Max(left_.bytes / busy, 1), any_ ? left_.bytes : PG_INT64_MAX};
        Caps rest = share;
        const PrefixRead got = read(&rest);
        if (got.count == 0)
            return got.cut ? Served::left_out : Served::nothing;
        any_ = true;
        left_.chunks -= share.chunks - rest.chunks;
        left_.bytes -= share.bytes - rest.bytes;
        return left_.chunks > 0 && left_.bytes > 0 ? Served::some : Served::enough;
    }

private:
    Caps left_;
    bool any_ = false;  // a chunk has been read
};

}  // namespace rill
