// The ProcessUtility hook: statements that matter to wake-ups or to our tables and have no callback of their own.
#pragma once

namespace rill {

void install_utility_hook();

}  // namespace rill
