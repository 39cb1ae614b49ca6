// See boundary.hpp.
#include "base/boundary.hpp"

namespace rill {

void PendingError::raise() const {
    ereport(ERROR, (errcode(sqlstate), errmsg_internal("%s", text)));
    pg_unreachable();
}

}  // namespace rill
