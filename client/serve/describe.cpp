// HEAD and DELETE, and what a GET begins with: whether the stream is there, and which position is meant.
#include "calls.hpp"

#include "failures.hpp"
#include "fields.hpp"
#include "offset.hpp"

#include <utility>

namespace rill::serve {

Response describe_stream(Client &client, const std::string &stream) {
    const StreamStatus status = client.status(stream);
    if (!is_there(status))
        return no_stream();
    const StreamConfig config = config_of(status);
    const std::string tail = encode_offset(tail_of(client, status));
    Response response;
    response.with("Content-Type", config.content_type)
        .with("Stream-Next-Offset", tail)
        .with("Cache-Control", "no-store")
        .with("ETag", "\"" + std::to_string(*status.stream_id) + ":-1:" + tail + (status.closed ? ":c\"" : "\""));
    // Outside the protocol: where what is retained begins, so that a client behind it learns how much it has missed.
    if (status.trimmed_through.value_or(0) > 0)
        response.with("Stream-First-Offset", encode_offset({.id = *status.trimmed_through, .epoch = std::nullopt}));
    if (config.ttl)
        response.with("Stream-TTL", std::to_string(*config.ttl));
    if (config.expires_at)
        response.with("Stream-Expires-At", *config.expires_at);
    if (status.closed)
        response.with("Stream-Closed", "true");
    return response;
}

Response delete_stream(Client &client, const std::string &stream) {
    if (!is_there(client.status(stream)) || !client.delete_stream(stream))
        return no_stream();
    return Response{.status = 204}.with("Cache-Control", "no-store");
}

std::variant<Response, ReadPlan> plan_read(Client &client, const std::string &stream, const Request &request) {
    const auto offsets = query_values(request.query, "offset");
    const auto lives = query_values(request.query, "live");
    const auto cursors = query_values(request.query, "cursor");
    if (!offsets || !lives || !cursors)
        return refusal(400, "The query is malformed.");
    if (offsets->size() > 1 || lives->size() > 1)
        return refusal(400, "A parameter is given twice.");

    ReadPlan plan{.stream = stream};
    if (!lives->empty() && lives->front() == "long-poll")
        plan.mode = ReadPlan::Mode::long_poll;
    else if (!lives->empty() && lives->front() == "sse")
        plan.mode = ReadPlan::Mode::events;
    else if (!lives->empty())
        return refusal(400, "live must be long-poll or sse.");
    if (plan.mode != ReadPlan::Mode::page && offsets->empty())
        return refusal(400, "offset is missing.");
    const std::string token = offsets->empty() ? "-1" : offsets->front();
    std::optional<Position> from;
    if (token != "-1" && token != "now") {
        from = decode_offset(token);
        if (!from)
            return refusal(400, "offset is none of this server's.");
    }

    const StreamStatus status = client.status(stream);
    if (!is_there(status))
        return no_stream();
    const StreamConfig config = config_of(status);
    plan.stream_id = *status.stream_id;
    plan.start_token = token;
    plan.client_cursor = cursors->empty() ? "" : cursors->front();
    plan.if_none_match = std::string(request.header("if-none-match").value_or(""));
    plan.content_type = config.content_type;
    plan.framing = framing_of(config.content_type);
    plan.ttl = config.ttl;
    // To librill 0 is "whatever is retained"; here it is a position, and what followed it may be gone.
    if (from && from->id == 0 && status.trimmed_through.value_or(0) > 0)
        return refusal(410, "What follows this offset was removed; the stream begins later now.");
    plan.from = from ? *from : token == "now" ? tail_of(client, status) : Position{};

    if (token == "now" && plan.mode == ReadPlan::Mode::page) {
        Response &response = plan.answer.emplace();
        response.with("Content-Type", plan.content_type)
            .with("Stream-Next-Offset", encode_offset(plan.from))
            .with("Stream-Up-To-Date", "true")
            .with("Cache-Control", "no-store");
        if (status.closed)
            response.with("Stream-Closed", "true");
        if (plan.framing == Framing::json)
            response.body = "[]";
    }
    return plan;
}

}  // namespace rill::serve
