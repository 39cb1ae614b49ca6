// The statement of an append with all its options: parameters for the server's function stream_try_append(), values
// from its rows, and errors from values.
#pragma once

#include "params.hpp"
#include "pq.hpp"
#include "rill/append.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace rill::detail {

[[nodiscard]] inline std::string_view as_text(std::span<const std::byte> data) noexcept {
    return {reinterpret_cast<const char *>(data.data()), data.size()};
}
[[nodiscard]] inline std::string_view as_text(std::string_view data) noexcept { return data; }

// The chunks as one parameter. Throws Error 54000 before anything is copied that could not be sent.
template <typename Chunks>
[[nodiscard]] ArrayParam array_of(const Chunks &chunks) {
    ArrayParam data(kByteaOid);
    std::size_t bytes = 0;
    for (const auto &chunk : chunks)
        if ((bytes += chunk.size()) > kMaxParameter)
            throw_too_large();
    data.reserve(chunks.size(), chunks.empty() ? 0 : bytes / chunks.size() + 1);
    for (const auto &chunk : chunks)
        data.add(as_text(chunk));
    return data;
}

// Checks the names (Error 22023). The stream's name and the options must live until the statement has been sent.
[[nodiscard]] Params append_params(std::string_view stream, ArrayParam &&data, const TryAppendOptions &options);
[[nodiscard]] std::string append_sql(const std::string &schema);

// The one row of that statement, in binary. Throws Error 08P01 for anything else.
[[nodiscard]] AppendResult read_append_result(const Result &rows);

// The error for an append that was not accepted. `next_seq` is the one that the producer should have given.
[[nodiscard]] Error refusal(std::string_view stream, const AppendResult &result, std::int64_t next_seq = 0);

}  // namespace rill::detail
