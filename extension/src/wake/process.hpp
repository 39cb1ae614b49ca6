// What the background processes of this library share.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

// A background process of this library, as bgw_function_name and bgw_type; the caller says when it starts and restarts.
BackgroundWorker describe_process(const char *function, const char *type);

}  // namespace rill
