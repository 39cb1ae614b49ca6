// The requests that are calls of the server: each function makes the whole answer. They block, and run on call threads.
//
// Thread-safety: any thread. They throw rill::Error; see failures.hpp.
#pragma once

#include "http.hpp"
#include "rill/client.hpp"
#include "stream_view.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace rill::serve {

// PUT. `url` is for Location.
[[nodiscard]] Response create_stream(Client &client, const std::string &stream, const Request &request,
                                     const std::string &url);

// POST. Empty: the producer's request before this one has not arrived yet; try again, or with `last_try` get the
// protocol's refusal.
[[nodiscard]] std::optional<Response> append_to_stream(Client &client, const std::string &stream,
                                                       const Request &request, bool last_try);

// HEAD and DELETE.
[[nodiscard]] Response describe_stream(Client &client, const std::string &stream);
[[nodiscard]] Response delete_stream(Client &client, const std::string &stream);

// The names that begin with ?prefix=, come behind ?after=, at most ?limit= of them: {"streams": [...], "more": true}.
[[nodiscard]] Response list_streams(Client &client, const Request &request);

// GET: how to answer it.
struct ReadPlan {
    enum class Mode { page, long_poll, events };
    std::string stream;
    std::int64_t stream_id = 0;
    Mode mode = Mode::page;
    Position from{};
    std::string start_token{};  // as the client wrote it: part of the ETag
    std::string client_cursor{};
    std::string if_none_match{};
    std::string content_type{};
    Framing framing = Framing::bytes;
    std::optional<std::int64_t> ttl{};
    std::optional<Response> answer{};  // if there is nothing to read
};
[[nodiscard]] std::variant<Response, ReadPlan> plan_read(Client &client, const std::string &stream,
                                                         const Request &request);

// A body as chunks, which point into it; a refusal if it must be JSON and is not, or has too many messages.
[[nodiscard]] std::variant<Response, std::vector<std::string_view>> chunks_of(std::string_view body, Framing framing);

}  // namespace rill::serve
