// The prepared query that asks the policies of table stream about one row:
//     SELECT true FROM ONLY stream WHERE stream_id = $1 AND <the policies for a command>
// There is one for each command and role, planned once and kept for the session.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

// The plan for the current user and CMD_SELECT, CMD_UPDATE, CMD_DELETE or CMD_INSERT, valid as of this call. The plan
// and the locks on the relations that it reads belong to CurrentResourceOwner. It is in CurrentMemoryContext, or in
// memory that lives as long as CurrentResourceOwner holds it.
PlannedStmt *policy_plan(CmdType command);

}  // namespace rill
