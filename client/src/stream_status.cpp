// See stream_status.hpp.
#include "stream_status.hpp"

#include "server_time.hpp"

#include <chrono>
#include <cstdint>
#include <optional>

namespace rill::detail {
namespace {

// An interval is months, days and microseconds, which PostgreSQL never converts into each other by itself.
std::chrono::microseconds to_duration(const Result::Interval &interval) {
    constexpr std::int64_t kDaysOfMonth = 30;
    const std::chrono::days days(interval.months * kDaysOfMonth + interval.days);
    return std::chrono::microseconds(interval.microseconds) + days;
}

}  // namespace

std::string status_columns(const std::string &name) {
    return name +
           ", stream_id, created_at, first_id, head_id, last_data_id, closed, first_at, last_at, "
           "trimmed_through, metadata::pg_catalog.text, waiters::pg_catalog.int8, max_age, max_chunks, max_bytes, "
           "delete_after_close, max_idle, expires_at, "
           "expires_at OPERATOR(pg_catalog.<=) pg_catalog.clock_timestamp()";
}

StreamStatus read_status(const Result &rows, int row) {
    const auto number = [&](int column) { return rows.optional_int8(row, column); };
    const auto time = [&](int column) -> std::optional<std::chrono::system_clock::time_point> {
        if (rows.null(row, column))
            return std::nullopt;
        return from_server_time(rows.int8(row, column));
    };
    const auto duration = [&](int column) -> std::optional<std::chrono::microseconds> {
        if (rows.null(row, column))
            return std::nullopt;
        return to_duration(rows.interval(row, column));
    };
    StreamStatus status;
    status.name = rows.text(row, 0);
    status.stream_id = number(1);
    status.created_at = time(2);
    status.first_id = number(3);
    status.head_id = number(4).value_or(0);
    status.last_data_id = number(5);
    status.closed = rows.boolean(row, 6);
    status.first_at = time(7);
    status.last_at = time(8);
    status.trimmed_through = number(9);
    if (!rows.null(row, 10))
        status.metadata = rows.text(row, 10);
    status.waiters = number(11);
    status.limits = {duration(12), number(13), number(14), duration(15), duration(16), time(17)};
    status.expired = !rows.null(row, 18) && rows.boolean(row, 18);
    return status;
}

void add_limits(Params &params, const Limits &limits) {
    const auto interval = [&](const std::optional<std::chrono::microseconds> &value) {
        if (value)
            params.interval(value->count());
        else
            params.null(kIntervalOid);
    };
    interval(limits.max_age);
    params.int8(limits.max_chunks).int8(limits.max_bytes);
    interval(limits.delete_after_close);
    interval(limits.max_idle);
    if (limits.expires_at)
        params.timestamptz(to_server_time(*limits.expires_at));
    else
        params.null(kTimestamptzOid);
}

void add_metadata(Params &params, const std::optional<std::string> &metadata) {
    if (!metadata) {
        params.null(kJsonbOid);
        return;
    }
    if (metadata->find('\0') != std::string::npos)
        throw Error("metadata must not contain a zero byte", {.sqlstate = "22P02"});
    params.jsonb_text(*metadata);
}

}  // namespace rill::detail
