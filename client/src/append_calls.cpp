// See rill/client.hpp: the calls that append. Each is one statement.
#include "append_statement.hpp"
#include "arguments.hpp"
#include "client_impl.hpp"
#include "rill/client.hpp"

namespace rill {
namespace {

using detail::Effect;
using detail::Params;

std::span<const std::byte> as_bytes(std::string_view data) { return std::as_bytes(std::span<const char>(data)); }

template <typename Chunks>
AppendResult try_append_chunks(detail::ClientImpl &impl, std::string_view stream, const Chunks &chunks,
                               const TryAppendOptions &options) {
    const Params params = detail::append_params(stream, detail::array_of(chunks), options);
    const detail::Result rows = impl.calls().call(detail::append_sql, params, Effect::writes);
    return detail::read_answer_to_change([&rows] { return detail::read_append_result(rows); });
}

// Without the right to create, an append is one that may find no stream; only stream_try_append() knows that.
template <typename Chunks>
std::optional<std::int64_t> append_existing(detail::ClientImpl &impl, std::string_view stream, const Chunks &chunks,
                                            const AppendOptions &options) {
    const AppendResult result = try_append_chunks(
        impl, stream, chunks,
        {.eof = options.eof && !chunks.empty(), .expected = options.expected, .create_stream = false});
    if (!result.accepted())
        throw detail::refusal(stream, result);
    return result.chunk_id;
}

template <typename Chunks>
std::optional<std::int64_t> append_chunks(detail::ClientImpl &impl, std::string_view stream, const Chunks &chunks,
                                          const AppendOptions &options) {
    if (!options.create_stream)
        return append_existing(impl, stream, chunks, options);
    detail::check_stream_name(stream);
    Params params;
    params.text(stream)
        .array(detail::kByteaArrayOid, detail::array_of(chunks))
        .boolean(options.eof)
        .int8(options.expected);
    return impl.call_bigint("stream_append_many($1, $2, $3, $4)", params, Effect::writes);
}

}  // namespace

std::int64_t Client::append(std::string_view stream, std::string_view data, const AppendOptions &options) {
    return append(stream, as_bytes(data), options);
}

std::int64_t Client::append(std::string_view stream, std::span<const std::byte> data, const AppendOptions &options) {
    if (!options.create_stream)
        return detail::not_null(append_existing(impl(), stream, std::span(&data, 1), options));
    detail::check_stream_name(stream);
    Params params;
    params.text(stream).bytea(data).boolean(options.eof).int8(options.expected);
    const auto id = impl().call_bigint("stream_append($1, $2, $3, $4)", params, Effect::writes);
    return detail::read_answer_to_change([&id] { return detail::not_null(id); });
}

std::optional<std::int64_t> Client::append_many(std::string_view stream,
                                                std::span<const std::span<const std::byte>> chunks,
                                                const AppendOptions &options) {
    return append_chunks(impl(), stream, chunks, options);
}

std::optional<std::int64_t> Client::append_many(std::string_view stream, std::span<const std::string_view> chunks,
                                                const AppendOptions &options) {
    return append_chunks(impl(), stream, chunks, options);
}

AppendResult Client::try_append(std::string_view stream, std::string_view data, const TryAppendOptions &options) {
    return try_append_chunks(impl(), stream, std::span(&data, 1), options);
}

AppendResult Client::try_append(std::string_view stream, std::span<const std::byte> data,
                                const TryAppendOptions &options) {
    return try_append_chunks(impl(), stream, std::span(&data, 1), options);
}

AppendResult Client::try_append_many(std::string_view stream, std::span<const std::span<const std::byte>> chunks,
                                     const TryAppendOptions &options) {
    return try_append_chunks(impl(), stream, chunks, options);
}

AppendResult Client::try_append_many(std::string_view stream, std::span<const std::string_view> chunks,
                                     const TryAppendOptions &options) {
    return try_append_chunks(impl(), stream, chunks, options);
}

std::optional<ProducerState> Client::producer_state(std::string_view stream, std::string_view producer) {
    detail::check_stream_name(stream);
    detail::check_name(producer, "producer");
    const auto sql = [](const std::string &schema) {
        return "SELECT producer_epoch, producer_seq, chunk_id FROM " + schema + "stream_producer_state($1, $2)";
    };
    const detail::Result rows = impl().calls().call(sql, Params().text(stream).text(producer), Effect::none);
    if (rows.rows() == 0)
        return std::nullopt;
    return ProducerState{rows.int8(0, 0), rows.int8(0, 1), rows.optional_int8(0, 2)};
}

std::int64_t Client::close_stream(std::string_view stream) {
    detail::check_stream_name(stream);
    // Closing twice is no error, so this may be tried twice.
    return detail::not_null(impl().call_bigint("stream_close($1)", Params().text(stream), Effect::none));
}

}  // namespace rill
