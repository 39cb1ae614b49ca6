// Row-level security: asks the policies of table stream about one stream after another, as the caller.
// The executor is started once and rescanned for each stream, so neither time nor memory grows by a plan for each.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

class PolicyCheck {
public:
    // Whether the policies of this command (CMD_SELECT, CMD_UPDATE, CMD_DELETE; CMD_INSERT for a row that was just
    // inserted) allow the row, evaluated as the caller under `snapshot`, which stays registered or active until end().
    // Call begin() only when policies_apply(); privileges are checked elsewhere. begin() and end() must be called under
    // the same resource owner. After an error only the server cleans up: the object must not be used again.
    void begin(CmdType command, Snapshot snapshot, MemoryContext memory = CurrentMemoryContext);
    bool allows(int64 stream_id);
    void end();

private:
    void start();
    void stop();

    CmdType command_;
    Snapshot snapshot_;
    MemoryContext memory_;      // for all allocations of this object
    Oid user_;                  // whose policies these are
    ResourceOwner plan_owner_;  // holds the plan and the locks on what it reads
    ParamListInfo parameters_;
    QueryDesc *query_;
    bool ran_;
};
static_assert(std::is_trivially_destructible_v<PolicyCheck>);

}  // namespace rill
