// The arguments of stream_read_since, which the function and the plan node both take.
#pragma once
#include "base/arguments.hpp"
#include "read/stable_prefix_scan.hpp"

namespace rill {

struct ReadArguments {
    StreamName name;
    int64 cursor;
    Caps caps;
    int64 timeout;
};
ReadArguments read_arguments(FunctionCallInfo fcinfo);

}  // namespace rill
