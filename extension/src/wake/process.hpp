// What the background processes of this library share.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

// A background process of this library, as bgw_function_name and bgw_type; the caller says when it starts and restarts.
BackgroundWorker describe_process(const char *function, const char *type);

// For a process that has just connected: nothing that ALTER DATABASE or ALTER ROLE sets for sessions may change what it
// does, end its transactions, or make them wait for a flush. Commits that a crash loses are redone.
void pin_settings();

}  // namespace rill
