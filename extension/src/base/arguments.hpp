// Checks of calls and their arguments, in one place so that every function refuses bad input alike:
// an SQLSTATE, the argument's name, and a hint that says what is allowed.
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

inline constexpr int kMaxNameBytes = 512;

struct StreamName {
    const char *data;
    int size;
    uint64 key;  // hash of database and name: what waiters wait for, also before the stream exists
};

// Raises where this transaction cannot write: read-only, inside a parallel query, on a standby. `function` as the
// caller knows it, with its parentheses.
void require_writable(const char *function);

[[noreturn]] void refuse_null(const char *argument);

StreamName stream_name(text *value, const char *argument);
StreamName stream_argument(FunctionCallInfo fcinfo, int n);
// A cursor: 0 or more.
int64 cursor_argument(FunctionCallInfo fcinfo, int n, const char *argument);
// A cap: 1 or more, or null for none.
int64 cap_argument(FunctionCallInfo fcinfo, int n, const char *argument, bool is_int4);
// Microseconds, -1 for null (forever).
int64 timeout_argument(FunctionCallInfo fcinfo, int n);
// Refuses what is over pg_rill.max_chunk_bytes; works on toasted values without fetching them.
void check_chunk_size(Datum data, const char *argument);
// Elements of a one-dimensional array without nulls; an empty array gives count 0.
void array_argument(FunctionCallInfo fcinfo, int n, const char *argument, Oid element, Datum **values, bool **nulls,
                    int *count);

}  // namespace rill
