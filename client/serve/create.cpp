// PUT: creates a stream, with a body and closed if the client wants that, or finds that it is there as wanted.
//
// The stream and its first chunks are two transactions of the server, so this process may die between them. The
// metadata says that a body was to come ("initial"), and the body is stored as the one step of a producer that no
// client can name: whoever repeats the PUT stores what is missing, and what is there is never stored twice.
#include "calls.hpp"

#include "failures.hpp"
#include "fields.hpp"
#include "json_messages.hpp"
#include "offset.hpp"
#include "text_pieces.hpp"

#include <chrono>

namespace rill::serve {
namespace {

// Small enough for pages and buffers, and far below the server's limit for a chunk.
constexpr std::size_t kChunkBytes = std::size_t{1} * 1024 * 1024;

// A header field cannot carry the first character.
const ProducerStep kInitial{.name = "\x01rill serve: PUT", .epoch = 0, .seq = 1};

struct Wanted {
    StreamConfig config;
    Limits limits;
    bool closed = false;
    std::vector<std::string_view> chunks;
};

std::variant<Response, Wanted> wanted_by(const Request &request) {
    Wanted wanted;
    if (request.header("stream-forked-from") || request.header("stream-fork-offset") ||
        request.header("stream-fork-sub-offset"))
        return refusal(501, "This server has no forks.");
    if (const auto type = request.header("content-type"); type && !type->empty()) {
        if (!is_content_type(*type))
            return refusal(400, "Content-Type is malformed.");
        wanted.config.content_type = std::string(*type);
    }
    const auto ttl = request.header("stream-ttl");
    const auto expires = request.header("stream-expires-at");
    if (ttl && expires)
        return refusal(400, "Stream-TTL and Stream-Expires-At exclude each other.");
    if (ttl) {
        wanted.config.ttl = ttl_seconds(*ttl);
        if (!wanted.config.ttl)
            return refusal(400, "Stream-TTL must be a number of seconds.");
        wanted.limits.max_idle = std::chrono::seconds(*wanted.config.ttl);
    }
    if (expires) {
        wanted.limits.expires_at = rfc3339(*expires);
        if (!wanted.limits.expires_at)
            return refusal(400, "Stream-Expires-At must be a time as in RFC 3339.");
        wanted.config.expires_at = std::string(*expires);
    }
    wanted.closed = is_true(request.header("stream-closed"));
    auto chunks = chunks_of(request.body, framing_of(wanted.config.content_type));
    if (auto *const refused = std::get_if<Response>(&chunks))
        return std::move(*refused);
    wanted.chunks = std::get<std::vector<std::string_view>>(std::move(chunks));
    wanted.config.initial = wanted.closed || !wanted.chunks.empty();
    return wanted;
}

bool same_config(const StreamStatus &status, const Wanted &wanted) {
    const StreamConfig config = config_of(status);
    return media_type(config.content_type) == media_type(wanted.config.content_type) &&
           config.ttl == wanted.config.ttl && status.limits.expires_at == wanted.limits.expires_at;
}

}  // namespace

std::variant<Response, std::vector<std::string_view>> chunks_of(std::string_view body, Framing framing) {
    if (framing != Framing::json)
        return cut_body(body, kChunkBytes);
    if (body.empty())
        return std::vector<std::string_view>{};
    auto messages = json_messages(body);
    if (!messages)
        return refusal(400, "The body is not JSON.");
    if (messages->size() > kMostMessages)
        return refusal(413, "The array has more than " + std::to_string(kMostMessages) + " messages.");
    return std::move(*messages);
}

Response create_stream(Client &client, const std::string &stream, const Request &request, const std::string &url) {
    auto read = wanted_by(request);
    if (auto *const refused = std::get_if<Response>(&read))
        return std::move(*refused);
    const Wanted &wanted = std::get<Wanted>(read);

    const bool created = client.create(stream, wanted.limits, to_metadata(wanted.config));
    StreamStatus status;
    if (!created) {
        status = client.status(stream);
        if (!status.exists())
            return unavailable("The stream was deleted at this moment.");
        if (!is_there(status))
            return unavailable("The stream has expired, and is about to be removed.");
        if (!same_config(status, wanted))
            return refusal(409, "The stream is there with another content type or lifetime.");
    }
    if (wanted.config.initial && (created || config_of(status).initial)) {
        const AppendResult result = client.try_append_many(
            stream, wanted.chunks, {.eof = wanted.closed, .create_stream = false, .producer = kInitial});
        if (result.outcome == AppendOutcome::missing)
            return unavailable("The stream was deleted at this moment.");
        // A repeat is judged before the closure, so what is refused for that was never stored.
        if (result.outcome == AppendOutcome::closed && !wanted.chunks.empty())
            return refusal(409, "The stream was closed before its first data came.").with("Stream-Closed", "true");
    }
    status = client.status(stream);
    if (!status.exists())
        return unavailable("The stream was deleted at this moment.");
    if (!created && status.closed != wanted.closed)
        return refusal(409,
                       status.closed ? "The stream is there, and closed." : "The stream is there, and not closed.");

    Response response{.status = created ? 201 : 200};
    if (created)
        response.with("Location", url);
    response.with("Content-Type", config_of(status).content_type)
        .with("Stream-Next-Offset", encode_offset(tail_of(client, status)))
        .with("Cache-Control", "no-store");
    if (status.closed)
        response.with("Stream-Closed", "true");
    return response;
}

}  // namespace rill::serve
