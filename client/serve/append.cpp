// POST: one stream_try_append, whatever the body is cut into, so it is stored whole or not at all.
//
// A producer's number on the wire begins at 0, in the server at 1. The content type is judged before the append, by a
// look of its own: a stream that is deleted and created with another type between the two gets the data anyway.
#include "calls.hpp"

#include "failures.hpp"
#include "fields.hpp"
#include "offset.hpp"

#include <utility>

namespace rill::serve {
namespace {

// The three headers come together or not at all.
std::variant<Response, std::optional<ProducerStep>> producer_of(const Request &request) {
    const auto name = request.header("producer-id");
    const auto epoch = request.header("producer-epoch");
    const auto seq = request.header("producer-seq");
    if (!name && !epoch && !seq)
        return std::nullopt;
    if (!name || !epoch || !seq)
        return refusal(400, "Producer-Id, Producer-Epoch and Producer-Seq belong together.");
    if (name->empty() || name->size() > 512)
        return refusal(400, "Producer-Id must have 1 to 512 bytes.");
    const auto epoch_number = safe_integer(*epoch);
    const auto seq_number = safe_integer(*seq);
    if (!epoch_number || !seq_number)
        return refusal(400, "Producer-Epoch and Producer-Seq must be integers from 0 to 2^53 - 1.");
    return ProducerStep{.name = std::string(*name), .epoch = *epoch_number, .seq = *seq_number + 1};
}

Response closed_conflict(Client &client, const StreamStatus &status) {
    return refusal(409, "The stream is closed.")
        .with("Stream-Closed", "true")
        .with("Stream-Next-Offset", encode_offset(tail_of(client, status)));
}

Response gap(const AppendResult &result, const ProducerStep &step) {
    if (result.producer_epoch && *result.producer_epoch < step.epoch)
        return refusal(400, "A new epoch of a producer begins with Producer-Seq 0.");
    return refusal(409, "Requests of this producer are missing before this one.")
        .with("Producer-Expected-Seq", std::to_string(result.producer_seq.value_or(0)))
        .with("Producer-Received-Seq", std::to_string(step.seq - 1));
}

Response accepted(Client &client, const std::string &stream, const AppendResult &result, bool has_body,
                  const std::optional<ProducerStep> &producer) {
    const bool repeat = result.outcome == AppendOutcome::repeat;
    Response response{.status = producer && !repeat && has_body ? 200 : 204};
    // An EOF without data is no position of its own.
    const Position tail =
        has_body && result.chunk_id ? behind(client, stream, *result.chunk_id) : tail_of(client, client.status(stream));
    response.with("Stream-Next-Offset", encode_offset(tail)).with("Cache-Control", "no-store");
    if (producer)
        response.with("Producer-Epoch", std::to_string(result.producer_epoch.value_or(producer->epoch)))
            .with("Producer-Seq", std::to_string(result.producer_seq.value_or(producer->seq) - 1));
    if (result.closed)
        response.with("Stream-Closed", "true");
    return response;
}

}  // namespace

std::optional<Response> append_to_stream(Client &client, const std::string &stream, const Request &request,
                                         bool last_try) {
    const auto producer_header = producer_of(request);
    if (const auto *const refused = std::get_if<Response>(&producer_header))
        return *refused;
    const auto &producer = std::get<std::optional<ProducerStep>>(producer_header);
    const auto writer_seq = request.header("stream-seq");
    if (writer_seq && (writer_seq->empty() || writer_seq->size() > 512))
        return refusal(400, "Stream-Seq must have 1 to 512 bytes.");
    const bool close = is_true(request.header("stream-closed"));
    const bool has_body = !request.body.empty();
    const auto content_type = request.header("content-type");
    if (!has_body && !close)
        return refusal(400, "The body is empty.");
    if (has_body && (!content_type || content_type->empty()))
        return refusal(400, "Content-Type is missing.");

    const StreamStatus status = client.status(stream);
    if (!is_there(status))
        return no_stream();
    const std::string &own_type = config_of(status).content_type;
    if (has_body && media_type(*content_type) != media_type(own_type)) {
        if (status.closed)
            return closed_conflict(client, status);
        return refusal(409, "The stream has another content type.");
    }
    const auto body_chunks = chunks_of(request.body, framing_of(own_type));
    if (const auto *const refused = std::get_if<Response>(&body_chunks))
        return *refused;
    const auto &chunks = std::get<std::vector<std::string_view>>(body_chunks);
    if (has_body && chunks.empty())
        return refusal(400, "The array is empty.");

    TryAppendOptions options{.eof = close, .create_stream = false, .producer = producer};
    if (writer_seq)
        options.writer_seq = std::string(*writer_seq);
    const AppendResult result = client.try_append_many(stream, chunks, options);
    switch (result.outcome) {
    case AppendOutcome::missing:
        return no_stream();
    case AppendOutcome::fenced:
        return refusal(403, "A newer epoch of this producer has appended.")
            .with("Producer-Epoch", std::to_string(result.producer_epoch.value_or(0)));
    case AppendOutcome::closed:
        if (!has_body && !producer)
            return accepted(client, stream, result, false, producer);
        return closed_conflict(client, client.status(stream));
    case AppendOutcome::gap:
        if (!last_try && result.producer_epoch.value_or(producer->epoch) == producer->epoch)
            return std::nullopt;
        return gap(result, *producer);
    case AppendOutcome::stale:
        return refusal(409, "Stream-Seq is not above the last one.");
    default:
        return accepted(client, stream, result, has_body, producer);
    }
}

}  // namespace rill::serve
