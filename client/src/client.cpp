// See rill/client.hpp. Following is the loop's work, the calls are statements on the connection for calls.
#include "rill/client.hpp"

#include "clock.hpp"
#include "core.hpp"

#include <utility>

namespace rill {
namespace {

using detail::Calls;
using detail::Params;

std::int64_t not_null(std::optional<std::int64_t> value) {
    if (!value)
        throw Error("the server's answer makes no sense: null", {.sqlstate = "08P01"});
    return *value;
}

template <typename Chunks, typename View>
std::optional<std::int64_t> append_batch(detail::Core &core, std::string_view stream, const Chunks &chunks, bool eof,
                                         View &&view) {
    detail::check_name(stream);
    detail::ArrayParam data(detail::kByteaOid);
    std::size_t bytes = 0;
    for (const auto &chunk : chunks)
        bytes += chunk.size();
    data.reserve(chunks.size(), chunks.empty() ? 0 : bytes / chunks.size() + 1);
    for (const auto &chunk : chunks)
        data.add(view(chunk));
    Params params;
    params.text(stream).array(detail::kByteaArrayOid, std::move(data)).boolean(eof);
    return core.number("stream_append_many($1, $2, $3)", params, Calls::Effect::writes);
}

// All columns in a form that the binary format gives exactly, whatever DateStyle and the like say.
constexpr std::string_view kInfoColumns =
    "SELECT name, stream_id, owner::pg_catalog.text, created_at, first_id, head_id, closed, chunks::pg_catalog.int8,"
    " bytes::pg_catalog.int8, first_at, last_at, waiters::pg_catalog.int8, max_age::pg_catalog.text,"
    " max_chunks::pg_catalog.int8, max_bytes::pg_catalog.int8, delete_after_close::pg_catalog.text FROM ";

StreamInfo read_info(const detail::Result &rows, int row) {
    const auto number = [&](int column) -> std::optional<std::int64_t> {
        if (rows.null(row, column))
            return std::nullopt;
        return rows.int8(row, column);
    };
    const auto time = [&](int column) -> std::optional<std::chrono::system_clock::time_point> {
        if (rows.null(row, column))
            return std::nullopt;
        return detail::from_server_time(rows.int8(row, column));
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

}  // namespace

Client::Client(std::string_view conninfo, Options options)
    : core_(std::make_shared<detail::Core>(conninfo, std::move(options))) {}

Client::Client(Client &&) noexcept = default;
Client &Client::operator=(Client &&) noexcept = default;
Client::~Client() = default;

Reader Client::read(std::string_view stream, Start start) { return Reader(core_->follow(stream, start)); }

std::int64_t Client::append(std::string_view stream, std::string_view data, bool eof) {
    return append(stream, std::as_bytes(std::span<const char>(data)), eof);
}

std::int64_t Client::append(std::string_view stream, std::span<const std::byte> data, bool eof) {
    detail::check_name(stream);
    Params params;
    params.text(stream).bytea(data).boolean(eof);
    return not_null(core_->number("stream_append($1, $2, $3)", params, Calls::Effect::writes));
}

std::optional<std::int64_t> Client::append_many(std::string_view stream,
                                                std::span<const std::span<const std::byte>> chunks, bool eof) {
    return append_batch(*core_, stream, chunks, eof, [](std::span<const std::byte> chunk) {
        return std::string_view(reinterpret_cast<const char *>(chunk.data()), chunk.size());
    });
}

std::optional<std::int64_t> Client::append_many(std::string_view stream, std::span<const std::string_view> chunks,
                                                bool eof) {
    return append_batch(*core_, stream, chunks, eof, [](std::string_view chunk) { return chunk; });
}

std::int64_t Client::close_stream(std::string_view stream) {
    detail::check_name(stream);
    // Closing twice is no error, so it may as well be tried twice.
    return not_null(core_->number("stream_close($1)", Params().text(stream), Calls::Effect::none));
}

std::int64_t Client::head(std::string_view stream) {
    detail::check_name(stream);
    return not_null(core_->number("stream_head($1)", Params().text(stream), Calls::Effect::none));
}

std::int64_t Client::seek(std::string_view stream, std::int64_t skip) {
    detail::check_name(stream);
    return not_null(core_->number("stream_seek($1, $2)", Params().text(stream).int8(skip), Calls::Effect::none));
}

std::int64_t Client::seek_time(std::string_view stream, std::chrono::system_clock::time_point since) {
    detail::check_name(stream);
    Params params;
    params.text(stream).timestamptz(detail::to_server_time(since));
    return not_null(core_->number("stream_seek_time($1, $2)", params, Calls::Effect::none));
}

std::int64_t Client::seek_time(std::string_view stream, std::string_view since) {
    detail::check_name(stream);
    if (since.find('\0') != std::string_view::npos)
        throw Error("a time must not hold a zero byte", {.sqlstate = "22007"});
    Params params;
    params.text(stream).timestamptz_text(std::string(since));
    return not_null(core_->number("stream_seek_time($1, $2)", params, Calls::Effect::none));
}

bool Client::exists(std::string_view stream) {
    detail::check_name(stream);
    const auto sql = [](const std::string &schema) {
        return "SELECT FROM " + schema + "stream_info WHERE name OPERATOR(pg_catalog.=) $1";
    };
    return core_->calls().call(sql, Params().text(stream), Calls::Effect::none).rows() > 0;
}

std::vector<StreamInfo> Client::streams() {
    const auto sql = [](const std::string &schema) {
        return std::string(kInfoColumns) + schema + "stream_info ORDER BY name";
    };
    const detail::Result rows = core_->calls().call(sql, {}, Calls::Effect::none);
    std::vector<StreamInfo> all;
    all.reserve(static_cast<std::size_t>(rows.rows()));
    for (int row = 0; row < rows.rows(); ++row)
        all.push_back(read_info(rows, row));
    return all;
}

std::optional<StreamInfo> Client::info(std::string_view stream) {
    detail::check_name(stream);
    const auto sql = [](const std::string &schema) {
        return std::string(kInfoColumns) + schema + "stream_info WHERE name OPERATOR(pg_catalog.=) $1";
    };
    const detail::Result rows = core_->calls().call(sql, Params().text(stream), Calls::Effect::none);
    if (rows.rows() == 0)
        return std::nullopt;
    return read_info(rows, 0);
}

Stats Client::stats() const { return core_->stats(); }

void Client::close() noexcept {
    if (core_ != nullptr)
        core_->close();
}

}  // namespace rill
