// Running SQL on the extension's own tables from inside a function.
#pragma once
#include "postgres_api.hpp"

namespace rill {

// "schema"."name", quoted as needed.
const char *qualified_table(const char *name);

// Runs one statement through SPI in a read-write way; returns the rows it touched. Raises when
// the result is not `expected`.
uint64 run_sql(const char *source, int count, Oid *types, Datum *values, const char *nulls, int expected);

// From construction to leave() statements run as the owner of `table`, past row-level security,
// as foreign-key triggers do. On an error the (sub)transaction abort restores the user.
class OwnerScope {
public:
    explicit OwnerScope(Oid table);
    void leave() const;

private:
    Oid user_;
    int context_;
};
static_assert(std::is_trivially_destructible_v<OwnerScope>);

}  // namespace rill
