// See stream_info.hpp.
#include "stream_info.hpp"

#include "server_time.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace rill::detail {

std::string stream_info_query(const std::string &schema, const std::string &rest) {
    return "SELECT i.name, i.stream_id, s.owner::pg_catalog.text, i.created_at, first_id, head_id, closed, chunks, "
           "bytes,"
           " first_at, last_at, waiters::pg_catalog.int8, max_age::pg_catalog.text, max_chunks, max_bytes,"
           " delete_after_close::pg_catalog.text FROM " +
           schema + "stream_info i JOIN " + schema + "stream s USING (stream_id), LATERAL " + schema +
           "stream_size(i.name) " + rest;
}

StreamInfo read_stream_info(const Result &rows, int row) {
    const auto number = [&](int column) -> std::optional<std::int64_t> {
        if (rows.null(row, column))
            return std::nullopt;
        return rows.int8(row, column);
    };
    const auto time = [&](int column) -> std::optional<std::chrono::system_clock::time_point> {
        if (rows.null(row, column))
            return std::nullopt;
        return from_server_time(rows.int8(row, column));
    };
    const auto text = [&](int column) -> std::optional<std::string> {
        if (rows.null(row, column))
            return std::nullopt;
        return std::string(rows.text(row, column));
    };
    StreamInfo info;
    info.name = rows.text(row, 0);
    info.stream_id = number(1).value_or(0);
    info.owner = rows.text(row, 2);
    info.created_at = time(3);
    info.first_id = number(4);
    info.head_id = number(5).value_or(0);
    info.closed = rows.text(row, 6) == std::string_view("\1", 1);
    info.chunks = number(7);
    info.bytes = number(8);
    info.first_at = time(9);
    info.last_at = time(10);
    info.waiters = number(11);
    info.max_age = text(12);
    info.max_chunks = number(13);
    info.max_bytes = number(14);
    info.delete_after_close = text(15);
    return info;
}

}  // namespace rill::detail
