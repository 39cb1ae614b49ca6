// See privileges.hpp.
#include "tables/privileges.hpp"

#include "tables/catalog.hpp"
#include "tables/policy_check.hpp"

namespace rill {

namespace {

// What this user is known to have been granted.
struct {
    uint64 generation;  // rights_generation()
    Oid user;
    AclMode modes;
} granted = {0, InvalidOid, 0};

bool may(AclMode privilege, CmdType command, int64 stream_id) {
    if (!has_privilege(privilege))
        return false;
    if (!policies_apply())
        return true;
    const Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
    PolicyCheck policies;
    policies.begin(command, snapshot);
    const bool allowed = policies.allows(stream_id);
    policies.end();
    UnregisterSnapshot(snapshot);
    return allowed;
}

}  // namespace

bool has_privilege(AclMode mode) {
    const Oid user = GetUserId();
    const Oid table = tables().stream;
    if (granted.generation != rights_generation() || granted.user != user)
        granted = {rights_generation(), user, 0};
    if ((granted.modes & mode) != 0)
        return true;
    if (pg_class_aclcheck(table, user, mode) != ACLCHECK_OK)
        return false;
    granted.modes |= mode;
    return true;
}

void require_privilege(AclMode mode) {
    if (!has_privilege(mode))
        aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, "stream");
}

bool policies_apply() {
    return tables().row_security && check_enable_rls(tables().stream, InvalidOid, false) == RLS_ENABLED;
}

bool may_read(int64 stream_id) { return may(ACL_SELECT, CMD_SELECT, stream_id); }
bool may_change(int64 stream_id) { return may(ACL_UPDATE, CMD_UPDATE, stream_id); }
bool may_delete(int64 stream_id) { return may(ACL_DELETE, CMD_DELETE, stream_id); }
bool may_create(int64 stream_id) { return may(ACL_INSERT, CMD_INSERT, stream_id); }

void refuse_stream(const char *name, int size) {
    ereport(ERROR,
            (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied for stream \"%.*s\"", size, name),
             errhint("It takes rights on the stream's row in table \"stream\", and policies that let it through.")));
    pg_unreachable();
}

}  // namespace rill
