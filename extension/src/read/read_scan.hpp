// stream_read_since() in a FROM clause, run by a plan node of its own. See read_scan.cpp.
#pragma once

namespace rill {

void install_read_scan();

}  // namespace rill
