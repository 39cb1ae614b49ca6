// See rill/client.hpp. Following is the loop's work; each call is one statement.
#include "rill/client.hpp"

#include "arguments.hpp"
#include "client_impl.hpp"
#include "server_time.hpp"
#include "stream_info.hpp"

#include <utility>

namespace rill {
namespace {

using detail::Effect;
using detail::Params;

std::int64_t not_null(std::optional<std::int64_t> value) {
    if (!value)
        throw Error("unexpected answer from the server: null", {.sqlstate = "08P01"});
    return *value;
}

template <typename Chunks, typename View>
std::optional<std::int64_t> append_batch(detail::ClientImpl &impl, std::string_view stream, const Chunks &chunks,
                                         bool eof, View &&view) {
    detail::check_stream_name(stream);
    detail::ArrayParam data(detail::kByteaOid);
    std::size_t bytes = 0;
    for (const auto &chunk : chunks)
        if ((bytes += chunk.size()) > detail::kMaxParameter)
            detail::throw_too_large();
    data.reserve(chunks.size(), chunks.empty() ? 0 : bytes / chunks.size() + 1);
    for (const auto &chunk : chunks)
        data.add(view(chunk));
    Params params;
    params.text(stream).array(detail::kByteaArrayOid, std::move(data)).boolean(eof);
    return impl.call_bigint("stream_append_many($1, $2, $3)", params, Effect::writes);
}

}  // namespace

Client::Client(std::string_view conninfo, Options options)
    : impl_(std::make_shared<detail::ClientImpl>(conninfo, std::move(options))) {}

Client::Client(Client &&) noexcept = default;
Client &Client::operator=(Client &&other) noexcept {
    if (this != &other)
        const Client old(std::exchange(impl_, std::move(other.impl_)));
    return *this;
}
Client::Client(std::shared_ptr<detail::ClientImpl> impl) noexcept : impl_(std::move(impl)) {}
Client::~Client() {
    if (impl_ != nullptr && impl_->foreign())
        detail::abandon(std::move(impl_));
    else
        close();
}

detail::ClientImpl &Client::impl() const {
    if (impl_ == nullptr)
        throw Error("this rill client was moved from", {.sqlstate = "55000", .kind = ErrorKind::usage});
    if (impl_->foreign())
        detail::throw_foreign();
    return *impl_;
}

Reader Client::read(std::string_view stream, Start start) { return Reader(impl().follow(stream, start)); }

std::int64_t Client::append(std::string_view stream, std::string_view data, bool eof) {
    return append(stream, std::as_bytes(std::span<const char>(data)), eof);
}

std::int64_t Client::append(std::string_view stream, std::span<const std::byte> data, bool eof) {
    detail::check_stream_name(stream);
    Params params;
    params.text(stream).bytea(data).boolean(eof);
    return not_null(impl().call_bigint("stream_append($1, $2, $3)", params, Effect::writes));
}

std::optional<std::int64_t> Client::append_many(std::string_view stream,
                                                std::span<const std::span<const std::byte>> chunks, bool eof) {
    return append_batch(impl(), stream, chunks, eof, [](std::span<const std::byte> chunk) {
        return std::string_view(reinterpret_cast<const char *>(chunk.data()), chunk.size());
    });
}

std::optional<std::int64_t> Client::append_many(std::string_view stream, std::span<const std::string_view> chunks,
                                                bool eof) {
    return append_batch(impl(), stream, chunks, eof, [](std::string_view chunk) { return chunk; });
}

std::int64_t Client::close_stream(std::string_view stream) {
    detail::check_stream_name(stream);
    // Closing twice is no error, so this may be tried twice.
    return not_null(impl().call_bigint("stream_close($1)", Params().text(stream), Effect::none));
}

std::int64_t Client::head(std::string_view stream) {
    detail::check_stream_name(stream);
    return not_null(impl().call_bigint("stream_head($1)", Params().text(stream), Effect::none));
}

Client::Sought Client::seek(std::string_view stream, std::int64_t skip) {
    detail::check_stream_name(stream);
    const auto sought = impl().seek(stream, skip);
    return {sought.chunk_id, sought.remaining};
}

std::int64_t Client::seek_time(std::string_view stream, std::chrono::system_clock::time_point since) {
    detail::check_stream_name(stream);
    Params params;
    params.text(stream).timestamptz(detail::to_server_time(since));
    return not_null(impl().call_bigint("stream_seek_time($1, $2)", params, Effect::none));
}

std::int64_t Client::seek_time(std::string_view stream, std::string_view since) {
    detail::check_stream_name(stream);
    if (since.find('\0') != std::string_view::npos)
        throw Error("time must not contain a zero byte", {.sqlstate = "22007"});
    Params params;
    params.text(stream).timestamptz_text(std::string(since));
    return not_null(impl().call_bigint("stream_seek_time($1, $2)", params, Effect::none));
}

bool Client::exists(std::string_view stream) {
    detail::check_stream_name(stream);
    const auto sql = [](const std::string &schema) {
        return "SELECT FROM " + schema + "stream_info WHERE name OPERATOR(pg_catalog.=) $1";
    };
    return impl().calls().call(sql, Params().text(stream), Effect::none).rows() > 0;
}

std::vector<StreamInfo> Client::streams() {
    const auto sql = [](const std::string &schema) { return detail::stream_info_query(schema, "ORDER BY i.name"); };
    const detail::Result rows = impl().calls().call(sql, {}, Effect::none);
    std::vector<StreamInfo> all;
    all.reserve(static_cast<std::size_t>(rows.rows()));
    for (int row = 0; row < rows.rows(); ++row)
        all.push_back(detail::read_stream_info(rows, row));
    return all;
}

std::optional<StreamInfo> Client::info(std::string_view stream) {
    detail::check_stream_name(stream);
    const auto sql = [](const std::string &schema) {
        return detail::stream_info_query(schema, "WHERE i.name OPERATOR(pg_catalog.=) $1");
    };
    const detail::Result rows = impl().calls().call(sql, Params().text(stream), Effect::none);
    if (rows.rows() == 0)
        return std::nullopt;
    return detail::read_stream_info(rows, 0);
}

Stats Client::stats() const { return impl().stats(); }

void Client::close() noexcept {
    if (impl_ != nullptr && !impl_->foreign())
        impl_->close();
}

}  // namespace rill
