// See json_lines.hpp.
#include "json_lines.hpp"

#include "format.hpp"
#include "stream_query.hpp"
#include "utf8.hpp"

#include <span>

#include <nlohmann/json.hpp>

namespace rill::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string dump(const Json &json) {
    // The server accepts a name as text; one that is not UTF-8 all the same gets marks, not an exception.
    return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

void add_raw_name(Json &json, const std::string &key, std::string_view name) {
    if (!is_utf8(name))
        json[key + "_base64"] = base64(std::as_bytes(std::span<const char>(name)));
}

}  // namespace

std::string json_line(std::string_view stream, const Chunk &chunk) {
    Json json;
    json["stream"] = stream;
    add_raw_name(json, "stream", stream);
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
    Json json{{"stream", stream}, {"id", id}, {"eof", true}};
    add_raw_name(json, "stream", stream);
    return dump(json);
}

std::string json_stream(const Rows &rows, int row, bool counted) {
    Json json;
    const auto add = [&](const StreamColumn &column) {
        const auto text = rows.text(row, column.name);
        Json &value = json[column.name];
        if (!text)
            value = nullptr;
        else if (column.kind == Kind::number)
            value = rows.number(row, column.name).value_or(0);
        else if (column.kind == Kind::truth)
            value = rows.truth(row, column.name);
        else if (column.kind == Kind::json)
            value = Json::parse(*text, nullptr, false);
        else
            value = *text;
        if (value.is_discarded())
            value = *text;  // metadata with bytes that are not UTF-8
    };
    for (const auto &column : kStreamColumns)
        add(column);
    add_raw_name(json, "name", rows.text(row, "name").value_or(""));
    if (counted)
        for (const auto &column : kSizeColumns)
            add(column);
    return dump(json);
}

std::string json_trimmed(std::string_view stream, std::int64_t removed) {
    Json json{{"stream", stream}, {"removed", removed}};
    add_raw_name(json, "stream", stream);
    return dump(json);
}

}  // namespace rill::cli
