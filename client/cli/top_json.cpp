// rill top --json. See top_view.hpp.
#include "format.hpp"
#include "top_view.hpp"
#include "utf8.hpp"

#include <span>
#include <utility>

#include <nlohmann/json.hpp>

namespace rill::cli {
namespace {

using Json = nlohmann::ordered_json;

template <typename T>
Json or_null(const std::optional<T> &value) {
    return value ? Json(*value) : Json(nullptr);
}

}  // namespace

std::string top_json(TopSnapshot snapshot, Sort sort) {
    sort_streams(snapshot.streams, sort);
    Json json{{"database", snapshot.database}, {"prefix", snapshot.prefix}};
    json["estimated_streams"] = or_null(snapshot.estimated_streams);
    json["not_listening"] = snapshot.not_listening.empty() ? Json(nullptr) : Json(snapshot.not_listening);
    Json &state = json["state"];
    if (snapshot.state) {
        const TopState &from = *snapshot.state;
        state["listeners"] = or_null(from.listeners);
        state["waiters"] = or_null(from.waiters);
        state["notifier_state"] = from.notifier;
        state["notifier_pid"] = or_null(from.notifier_pid);
        state["retention_age"] = or_null(from.retention_age);
        state["retention_backlog"] = or_null(from.retention_backlog);
        state["retention_lag"] = or_null(from.retention_lag);
        state["wakeups_per_second"] = or_null(from.wakeups_rate);
        state["notifies_per_second"] = or_null(from.notifies_rate);
        state["overflows"] = or_null(from.overflows);
        state["rescues"] = or_null(from.rescues);
        state["trimmed_chunks"] = or_null(from.trimmed_chunks);
    }
    Json &streams = json["streams"] = Json::array();
    for (const auto &stream : snapshot.streams) {
        Json row{{"name", stream.name}};
        if (!is_utf8(stream.name))
            row["name_base64"] = base64(std::as_bytes(std::span<const char>(stream.name)));
        row["rate"] = or_null(stream.rate);
        row["head_id"] = stream.head;
        row["waiters"] = or_null(stream.readers);
        row["last_age"] = or_null(stream.age);
        row["closed"] = stream.closed;
        streams.push_back(std::move(row));
    }
    return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace rill::cli
