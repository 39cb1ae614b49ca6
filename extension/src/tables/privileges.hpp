// Who has which rights on a stream: the caller's privileges and row-level security policies on table `stream`, checked
// as the caller. The other tables' rights are never checked.
//   SELECT on a stream's row: read, wait, seek.   UPDATE alone: append, close, trim.
//   INSERT alone: create.                         DELETE: delete.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

// Raises 42501 unless the caller has this privilege (ACL_SELECT, …) on table stream.
void require_privilege(AclMode mode);
bool has_privilege(AclMode mode);

// True when row-level security applies to the caller on table stream; then a PolicyCheck must pass as well.
// Raises where `row_security = off` would.
bool policies_apply();

// Whether the caller may read this existing stream (SELECT).
bool may_read(int64 stream_id);
// Whether the caller may append to, close, trim or change this existing stream (UPDATE), or delete it (DELETE).
bool may_change(int64 stream_id);
bool may_delete(int64 stream_id);
// Whether the caller may create this stream (INSERT), whose row is already inserted: policies are checked against it.
bool may_create(int64 stream_id);

// 42501 for one stream, in words that do not depend on whether it exists.
[[noreturn]] void refuse_stream(const char *name, int size);

}  // namespace rill
