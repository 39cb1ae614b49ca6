// The limits of a stream: how long and how much retention keeps of it.
#pragma once
#include "tables/catalog.hpp"

namespace rill {

// In the order of the columns, and of the arguments of stream_create() and stream_set_limits().
struct Limits {
    Datum values[kLimits];
    bool nulls[kLimits];  // no limit
    [[nodiscard]] bool any() const;
};

// The arguments from number `first` on. Raises 22023, naming the argument, for a limit that retention cannot apply.
Limits limit_arguments(FunctionCallInfo fcinfo, int first);

// Sets exactly these limits on a stream that the caller may change. False when it has been deleted meanwhile.
bool store_limits(int64 stream_id, const Limits &limits);

}  // namespace rill
