// See json_lines.hpp.
#include "json_lines.hpp"

#include "format.hpp"

#include <chrono>
#include <optional>

#include <nlohmann/json.hpp>

namespace rill::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string dump(const Json &json) {
    // The server accepts a name as text; one that is not UTF-8 all the same gets marks, not an exception.
    return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

template <typename T>
Json or_null(const std::optional<T> &value) {
    return value ? Json(*value) : Json(nullptr);
}

Json or_null(const std::optional<std::chrono::system_clock::time_point> &value) {
    return value ? Json(iso_time(*value)) : Json(nullptr);
}

}  // namespace

std::string json_line(std::string_view stream, const Chunk &chunk) {
    Json json;
    json["stream"] = stream;
    json["id"] = chunk.id;
    json["appended_at"] = iso_time(chunk.appended_at);
    json["epoch"] = chunk.epoch;
    json["eof"] = chunk.eof;
    if (is_utf8(chunk.text()))
        json["data"] = chunk.text();
    else
        json["data_base64"] = base64(chunk.data);
    return dump(json);
}

std::string json_end(std::string_view stream, std::int64_t id) {
    return dump(Json{{"stream", stream}, {"id", id}, {"eof", true}});
}

std::string json_line(const StreamInfo &info) {
    Json json;
    json["name"] = info.name;
    json["stream_id"] = info.stream_id;
    json["owner"] = info.owner;
    json["created_at"] = or_null(info.created_at);
    json["first_id"] = or_null(info.first_id);
    json["head_id"] = info.head_id;
    json["closed"] = info.closed;
    json["chunks"] = or_null(info.chunks);
    json["bytes"] = or_null(info.bytes);
    json["first_at"] = or_null(info.first_at);
    json["last_at"] = or_null(info.last_at);
    json["waiters"] = or_null(info.waiters);
    json["max_age"] = or_null(info.max_age);
    json["max_chunks"] = or_null(info.max_chunks);
    json["max_bytes"] = or_null(info.max_bytes);
    json["delete_after_close"] = or_null(info.delete_after_close);
    return dump(json);
}

}  // namespace rill::cli
