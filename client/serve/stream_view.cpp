// See stream_view.hpp.
#include "stream_view.hpp"

#include "fields.hpp"

#include <chrono>

#include <nlohmann/json.hpp>

namespace rill::serve {
namespace {

using nlohmann::json;

std::optional<std::string> text_member(const json &object, const char *name) {
    const auto found = object.find(name);
    if (found == object.end() || !found->is_string())
        return std::nullopt;
    return found->get<std::string>();
}

}  // namespace

std::string to_metadata(const StreamConfig &config) {
    json object{{"content_type", config.content_type}};
    if (config.expires_at)
        object["expires_at"] = *config.expires_at;
    if (config.initial)
        object["initial"] = true;
    return object.dump();
}

StreamConfig config_of(const StreamStatus &status) {
    StreamConfig config;
    const json object = status.metadata ? json::parse(*status.metadata, nullptr, false) : json();
    if (object.is_object()) {
        // It goes into a header.
        if (const auto type = text_member(object, "content_type"); type && is_content_type(*type))
            config.content_type = *type;
        if (auto expires = text_member(object, "expires_at"); expires && rfc3339(*expires))
            config.expires_at = std::move(expires);
        config.initial = object.value("initial", json()) == json(true);
    }
    if (status.limits.max_idle)
        config.ttl = std::chrono::duration_cast<std::chrono::seconds>(*status.limits.max_idle).count();
    return config;
}

Framing framing_of(const std::string &content_type) {
    const std::string type = media_type(content_type);
    if (type == "application/json")
        return Framing::json;
    return type.starts_with("text/") ? Framing::text : Framing::bytes;
}

bool is_there(const StreamStatus &status) { return status.exists() && !status.expired; }

Position tail_of(Client &client, const StreamStatus &status) {
    if (status.last_data_id.value_or(0) > 0)
        return behind(client, status.name, *status.last_data_id);
    return {.id = status.trimmed_through.value_or(0), .epoch = std::nullopt};
}

Position behind(Client &client, const std::string &stream, std::int64_t chunk_id) {
    // Whatever goes wrong here, an append that was stored must not look like one that was not: it would be repeated.
    try {
        Reader reader = client.read(stream, after(chunk_id - 1));
        const auto chunk = reader.next(std::chrono::seconds(5));
        if (chunk && chunk->id == chunk_id)
            return {.id = chunk_id, .epoch = chunk->epoch};
    } catch (const Error &) {
    }
    return {.id = chunk_id, .epoch = std::nullopt};
}

}  // namespace rill::serve
