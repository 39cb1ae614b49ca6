// Where the extension lives. It may be in any schema, so each connection asks once and then qualifies every call;
// search_path never matters.
#pragma once

#include "session.hpp"

#include <string>

namespace rill::detail {

inline constexpr const char *kFindExtension =
    "SELECT n.nspname, pg_catalog.pg_backend_pid() FROM pg_catalog.pg_extension e"
    " JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace"
    " WHERE e.extname OPERATOR(pg_catalog.=) 'pg_rill'";

// No such schema, function or table, or, from a function that was running when the extension was dropped, no such
// extension: the statement has done nothing, and the extension may have moved. A new session asks where it is.
[[nodiscard]] inline bool extension_not_found(const Error &error) {
    const std::string &sqlstate = error.sqlstate();
    return sqlstate == "3F000" || sqlstate == "42883" || sqlstate == "42P01" || sqlstate == "42704";
}

// How often in a row to ask again before the error is final: the extension can move once more before it is used where
// it was found, but code of users that a statement runs (a trigger, a policy) can also raise these errors, each time.
inline constexpr int kLooksForExtension = 5;

// The schema's quoted name and a dot, from the text result of kFindExtension. Throws Error 42704 when the extension is
// not installed.
[[nodiscard]] inline std::string schema_prefix(const Session &session, const Result &found) {
    if (found.rows() != 1)
        throw Error("extension pg_rill is not installed in this database",
                    {.sqlstate = "42704", .hint = "Run CREATE EXTENSION pg_rill in it."});
    return session.quoted(found.text(0, 0)) + ".";
}

// From the same result: whether the server itself is at the other end, since the process that answers is the one that
// the connection was made to. A pooler makes up the process ids that it tells its clients.
[[nodiscard]] inline bool is_direct(const Session &session, const Result &found) {
    return found.text(0, 1) == std::to_string(session.backend_pid());
}

}  // namespace rill::detail
