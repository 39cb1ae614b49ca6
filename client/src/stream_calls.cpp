// See rill/client.hpp: the calls that ask, and those that manage streams. Each is one statement.
#include "arguments.hpp"
#include "client_impl.hpp"
#include "rill/client.hpp"
#include "server_time.hpp"
#include "stream_status.hpp"

namespace rill {
namespace {

using detail::Effect;
using detail::Params;

Params prefix_page(std::string_view prefix, std::string_view after, std::int64_t limit) {
    if (prefix.find('\0') != std::string_view::npos || after.find('\0') != std::string_view::npos)
        throw Error("stream name must not contain a zero byte", {.sqlstate = "22023"});
    return std::move(Params().text(prefix).text(after).int8(limit));
}

constexpr const char *kPrefixPage = "WHERE name OPERATOR(pg_catalog.^@) $1 AND name OPERATOR(pg_catalog.>) $2 COLLATE "
                                    "pg_catalog.\"C\" ORDER BY name LIMIT $3";

}  // namespace

std::int64_t Client::head(std::string_view stream) {
    detail::check_stream_name(stream);
    return detail::not_null(impl().call_bigint("stream_head($1)", Params().text(stream), Effect::none));
}

Client::Sought Client::seek(std::string_view stream, std::int64_t skip) {
    detail::check_stream_name(stream);
    return impl().seek(stream, skip);
}

std::int64_t Client::seek_time(std::string_view stream, std::chrono::system_clock::time_point since) {
    detail::check_stream_name(stream);
    Params params;
    params.text(stream).timestamptz(detail::to_server_time(since));
    return detail::not_null(impl().call_bigint("stream_seek_time($1, $2)", params, Effect::none));
}

std::int64_t Client::seek_time(std::string_view stream, std::string_view since) {
    detail::check_stream_name(stream);
    if (since.find('\0') != std::string_view::npos)
        throw Error("time must not contain a zero byte", {.sqlstate = "22007"});
    Params params;
    params.text(stream).timestamptz_text(std::string(since));
    return detail::not_null(impl().call_bigint("stream_seek_time($1, $2)", params, Effect::none));
}

bool Client::exists(std::string_view stream) {
    detail::check_stream_name(stream);
    const auto sql = [](const std::string &schema) {
        return "SELECT FROM " + schema + "stream_info WHERE name OPERATOR(pg_catalog.=) $1";
    };
    return impl().calls().call(sql, Params().text(stream), Effect::none).rows() > 0;
}

StreamStatus Client::status(std::string_view stream) {
    detail::check_stream_name(stream);
    const auto sql = [](const std::string &schema) {
        return "SELECT " + detail::status_columns("$1") + " FROM " + schema + "stream_status($1)";
    };
    const detail::Result rows = impl().calls().call(sql, Params().text(stream), Effect::none);
    return detail::read_status(rows.one_row(), 0);
}

StreamSize Client::size(std::string_view stream, std::int64_t after) {
    detail::check_stream_name(stream);
    const auto sql = [](const std::string &schema) {
        return "SELECT chunks, bytes FROM " + schema + "stream_size($1, $2)";
    };
    const detail::Result rows = impl().calls().call(sql, Params().text(stream).int8(after), Effect::none);
    return {rows.one_row().int8(0, 0), rows.int8(0, 1)};
}

std::vector<StreamStatus> Client::list(std::string_view prefix, std::string_view after, std::int64_t limit) {
    const auto sql = [](const std::string &schema) {
        return "SELECT " + detail::status_columns("name") + " FROM " + schema + "stream_info " + kPrefixPage;
    };
    const detail::Result rows = impl().calls().call(sql, prefix_page(prefix, after, limit), Effect::none);
    std::vector<StreamStatus> all;
    all.reserve(static_cast<std::size_t>(rows.rows()));
    for (int row = 0; row < rows.rows(); ++row)
        all.push_back(detail::read_status(rows, row));
    return all;
}

std::vector<std::string> Client::names(std::string_view prefix, std::string_view after, std::int64_t limit) {
    const auto sql = [](const std::string &schema) { return "SELECT name FROM " + schema + "stream " + kPrefixPage; };
    const detail::Result rows = impl().calls().call(sql, prefix_page(prefix, after, limit), Effect::none);
    std::vector<std::string> all;
    all.reserve(static_cast<std::size_t>(rows.rows()));
    for (int row = 0; row < rows.rows(); ++row)
        all.emplace_back(rows.text(row, 0));
    return all;
}

bool Client::verify(std::string_view stream, const Position &cursor) {
    detail::check_stream_name(stream);
    detail::check_start(after(cursor));
    if (!cursor.epoch)
        throw Error("cursor has no epoch to verify", {.sqlstate = "22023"});
    return impl().call_boolean("stream_verify($1, $2, $3)", Params().text(stream).int8(cursor.id).int4(*cursor.epoch),
                               Effect::none);
}

bool Client::create(std::string_view stream, const Limits &limits, const std::optional<std::string> &metadata) {
    detail::check_stream_name(stream);
    Params params;
    params.text(stream);
    detail::add_limits(params, limits);
    detail::add_metadata(params, metadata);
    // Not without effect: when it is tried again, the answer is another one.
    return impl().call_boolean("stream_create($1, $2, $3, $4, $5, $6, $7, $8)", params, Effect::writes);
}

bool Client::set_limits(std::string_view stream, const Limits &limits) {
    detail::check_stream_name(stream);
    Params params;
    params.text(stream);
    detail::add_limits(params, limits);
    return impl().call_boolean("stream_set_limits($1, $2, $3, $4, $5, $6, $7)", params, Effect::none);
}

bool Client::set_metadata(std::string_view stream, const std::optional<std::string> &metadata) {
    detail::check_stream_name(stream);
    Params params;
    params.text(stream);
    detail::add_metadata(params, metadata);
    return impl().call_boolean("stream_set_metadata($1, $2)", params, Effect::none);
}

bool Client::touch(std::string_view stream) {
    detail::check_stream_name(stream);
    return impl().call_boolean("stream_touch($1)", Params().text(stream), Effect::none);
}

std::int64_t Client::trim(std::string_view stream, std::int64_t before) {
    detail::check_stream_name(stream);
    return detail::not_null(
        impl().call_bigint("stream_trim($1, $2)", Params().text(stream).int8(before), Effect::writes));
}

bool Client::delete_stream(std::string_view stream) {
    detail::check_stream_name(stream);
    return impl().call_boolean("stream_delete($1)", Params().text(stream), Effect::writes);
}

}  // namespace rill
