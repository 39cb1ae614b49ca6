// Runs SQL on the extension's own tables from inside a function.
#pragma once
#include "base/postgres_api.hpp"

#include <initializer_list>

namespace rill {

// "schema"."name", quoted as needed.
const char *qualified_table(const char *name);

struct SqlValue {
    Oid type;
    Datum value;
    bool isnull = false;
};

// One row of a result; columns count from 1. Valid only until the statement ends.
class SqlRow {
public:
    SqlRow(HeapTuple tuple, TupleDesc desc) : tuple_(tuple), desc_(desc) {}
    [[nodiscard]] bool is_null(int column) const;
    // Null gives 0.
    [[nodiscard]] int64 int8(int column) const;
    // Allocated in `context`; null gives null.
    [[nodiscard]] text *copy_text(int column, MemoryContext context) const;

private:
    HeapTuple tuple_;
    TupleDesc desc_;
};

// The plan of one statement, kept for the session like those of foreign-key triggers. It is a generic plan: for
// statements that run often and have one sensible plan at any size of the tables, as an INSERT has.
struct KeptPlan {
    SPIPlanPtr plan;
    const char *source;
    uint64 generation;  // rights_generation() as of the last check of the plan
};

using RowFunction = void (*)(void *state, const SqlRow &row);
uint64 run_sql(const char *source, const SqlValue *values, int count, int expected, RowFunction row, void *state,
               KeptPlan *kept = nullptr);

// Runs one statement through SPI, which may write, and returns how many rows it processed. Raises when the result is
// not `expected` (SPI_OK_…). `row`, if given, is called for each row of the result. The statement is planned each time,
// or once with `kept`, a static object that no other statement uses.
inline uint64 run_sql(const char *source, std::initializer_list<SqlValue> values, int expected) {
    return run_sql(source, values.begin(), static_cast<int>(values.size()), expected, nullptr, nullptr);
}
template <typename Fn>
uint64 run_sql(const char *source, std::initializer_list<SqlValue> values, int expected, Fn row) {
    static_assert(std::is_trivially_destructible_v<Fn>);
    return run_sql(
        source, values.begin(), static_cast<int>(values.size()), expected,
        [](void *state, const SqlRow &r) { (*static_cast<Fn *>(state))(r); }, &row);
}

// The same for a statement that changes table stream or stream_state, inside an OwnerScope of it: it fires no trigger
// of those tables, including those of foreign keys that refer to them. So a role that was granted TRIGGER or REFERENCES
// there can neither run code as the owner nor block other users' changes. Returns how many rows it processed.
uint64 run_without_triggers(const char *source, const SqlValue *values, int count, KeptPlan *kept = nullptr);
inline uint64 run_without_triggers(const char *source, std::initializer_list<SqlValue> values) {
    return run_without_triggers(source, values.begin(), static_cast<int>(values.size()));
}

// The same for a statement that deletes rows of stream_chunk and returns one row of bigints (null gives 0): users'
// triggers fire there, all before it returns. Those that are deferred would run at the commit, as whoever commits; the
// server refuses that in an OwnerScope.
void delete_returning(const char *source, std::initializer_list<SqlValue> values, int64 *results, int columns);

// From construction to leave(), statements run as the owner of `table`, past row-level security, as those of
// foreign-key triggers do, and as a security-restricted operation, as in maintenance commands: the owner's index
// expressions, defaults, checks and triggers run as the owner, not as the caller, and cannot switch back to the caller.
// A statement may name only that table: if it named another owner's table, that table's expressions would run as the
// first owner. On an error the abort of the (sub)transaction restores the user.
class OwnerScope {
public:
    explicit OwnerScope(Oid table);
    void leave() const;

private:
    Oid user_;
    int context_;
    int settings_;  // nesting level of the settings that this scope changes
};
static_assert(std::is_trivially_destructible_v<OwnerScope>);

}  // namespace rill
