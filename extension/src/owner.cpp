// See owner.hpp.
#include "owner.hpp"

#include "catalog.hpp"

namespace rill {

const char *qualified_table(const char *name) {
    return quote_qualified_identifier(get_namespace_name(tables().schema), name);
}

uint64 run_sql(const char *source, int count, Oid *types, Datum *values, const char *nulls, int expected) {
    if (SPI_connect() != SPI_OK_CONNECT)
        elog(ERROR, "SPI_connect failed");
    const int result = SPI_execute_with_args(source, count, types, values, nulls, false, 0);
    if (result != expected)
        elog(ERROR, "unexpected result of \"%s\": %s", source, SPI_result_code_string(result));
    const uint64 touched = SPI_processed;
    SPI_finish();
    return touched;
}

OwnerScope::OwnerScope(Oid table) {
    GetUserIdAndSecContext(&user_, &context_);
    const HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
    if (!HeapTupleIsValid(tuple))
        elog(ERROR, "cache lookup failed for relation %u", table);
    const Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner;
    ReleaseSysCache(tuple);
    SetUserIdAndSecContext(owner, context_ | SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS);
}

void OwnerScope::leave() const { SetUserIdAndSecContext(user_, context_); }

}  // namespace rill
