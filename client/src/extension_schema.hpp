// Where the extension lives. It may be in any schema, so each connection asks once and then qualifies every call;
// search_path never matters.
#pragma once

#include "session.hpp"

#include <string>

namespace rill::detail {

inline constexpr const char *kFindExtension =
    "SELECT n.nspname FROM pg_catalog.pg_extension e"
    " JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace"
    " WHERE e.extname OPERATOR(pg_catalog.=) 'pg_rill'";

// The schema's quoted name and a dot, from the text result of kFindExtension. Throws Error 42704 when the extension is
// not installed.
[[nodiscard]] inline std::string schema_prefix(const Session &session, const Result &found) {
    if (found.rows() != 1)
        throw Error("extension pg_rill is not installed in this database",
                    {.sqlstate = "42704", .hint = "Run CREATE EXTENSION pg_rill in it."});
    return session.quoted(found.text(0, 0)) + ".";
}

}  // namespace rill::detail
