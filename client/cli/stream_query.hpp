// The query of `rill ls` and `rill info`, and its columns: what the view stream_info has, with the owner, in a text
// form that does not depend on the session's settings.
#pragma once

#include <string>
#include <string_view>

namespace rill::cli {

enum class Kind { text, number, truth, json };

struct StreamColumn {
    const char *name;
    Kind kind;
    const char *sql;
};

// A time in UTC with microseconds, or infinity.
#define RILL_UTC(column)                                                                                               \
    "CASE WHEN pg_catalog.isfinite(" column ") THEN pg_catalog.to_char(pg_catalog.timezone('UTC', " column             \
    "), 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') ELSE " column "::pg_catalog.text END"

inline constexpr StreamColumn kStreamColumns[] = {
    {"name", Kind::text, "i.name"},
    {"stream_id", Kind::number, "i.stream_id"},
    {"owner", Kind::text, "s.owner"},
    {"created_at", Kind::text, RILL_UTC("i.created_at")},
    {"closed", Kind::truth, "i.closed"},
    {"first_id", Kind::number, "i.first_id"},
    {"head_id", Kind::number, "i.head_id"},
    {"last_data_id", Kind::number, "i.last_data_id"},
    {"trimmed_through", Kind::number, "i.trimmed_through"},
    {"first_at", Kind::text, RILL_UTC("i.first_at")},
    {"last_at", Kind::text, RILL_UTC("i.last_at")},
    {"waiters", Kind::number, "i.waiters"},
    {"max_age", Kind::text, "i.max_age"},
    {"max_chunks", Kind::number, "i.max_chunks"},
    {"max_bytes", Kind::number, "i.max_bytes"},
    {"delete_after_close", Kind::text, "i.delete_after_close"},
    {"max_idle", Kind::text, "i.max_idle"},
    {"expires_at", Kind::text, RILL_UTC("i.expires_at")},
    {"metadata", Kind::json, "i.metadata"},
};
#undef RILL_UTC

// Only with --count.
inline constexpr StreamColumn kSizeColumns[] = {
    {"chunks", Kind::number, "size.chunks"},
    {"bytes", Kind::number, "size.bytes"},
};

// `condition` is SQL on i.name. {} stands for the extension's schema.
[[nodiscard]] inline std::string stream_query(bool count, std::string_view condition) {
    std::string sql = "SELECT ";
    for (const auto &column : kStreamColumns)
        sql.append(column.sql).append(" AS ").append(column.name).append(", ");
    if (count)
        for (const auto &column : kSizeColumns)
            sql.append(column.sql).append(" AS ").append(column.name).append(", ");
    sql.erase(sql.size() - 2);
    sql += " FROM {}stream_info i JOIN {}stream s ON s.stream_id OPERATOR(pg_catalog.=) i.stream_id";
    if (count)
        sql += ", LATERAL {}stream_size(i.name) size";
    return sql.append(" WHERE ").append(condition).append(" ORDER BY i.name");
}

}  // namespace rill::cli
