// A call's caps, shared out among its requests: each is served with an equal part of what is left, so that one that has
// much does not starve those after it, and what one leaves over goes to the others.
#pragma once
#include "read/lookup.hpp"
#include "read/stable_prefix_scan.hpp"

namespace rill {

class FairShares {
public:
    explicit FairShares(const Caps &caps) : left_(caps) {}

    // Calls read(&share), which lowers its share by what it uses and returns how many chunks it has read. `busy`
    // requests, this one included, are still to be served.
    template <typename Read>
    Served serve(int busy, Read read) {
        const Caps share = {Max(left_.chunks / busy, 1), Max(left_.bytes / busy, 1)};
        Caps rest = share;
        if (read(&rest) == 0)
            return Served::nothing;
        left_.chunks -= share.chunks - rest.chunks;
        left_.bytes -= share.bytes - rest.bytes;
        return left_.chunks > 0 && left_.bytes > 0 ? Served::some : Served::enough;
    }

private:
    Caps left_;
};

}  // namespace rill
