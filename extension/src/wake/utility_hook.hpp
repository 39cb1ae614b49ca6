// The ProcessUtility hook: the statements that matter to wake-ups and have no callback of their own.
#pragma once

namespace rill {

void install_utility_hook();

}  // namespace rill
