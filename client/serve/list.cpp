// The names of streams, a page at a time, for whoever is to choose one. Outside the protocol.
#include "calls.hpp"
#include "fields.hpp"

#include <nlohmann/json.hpp>

namespace rill::serve {
namespace {

constexpr std::int64_t kUsualPage = 100;
constexpr std::int64_t kLargestPage = 1'000;

}  // namespace

Response list_streams(Client &client, const Request &request) {
    const auto prefixes = query_values(request.query, "prefix");
    const auto afters = query_values(request.query, "after");
    const auto limits = query_values(request.query, "limit");
    if (!prefixes || !afters || !limits)
        return refusal(400, "The query is malformed.");
    if (prefixes->size() > 1 || afters->size() > 1 || limits->size() > 1)
        return refusal(400, "A parameter is given twice.");
    const auto limit = limits->empty() ? std::optional(kUsualPage) : safe_integer(limits->front());
    if (!limit || *limit < 1 || *limit > kLargestPage)
        return refusal(400, "limit must be from 1 to 1000.");
    const auto is_text = [](const std::vector<std::string> &values) {
        return values.empty() || values.front().find('\0') == std::string::npos;
    };
    if (!is_text(*prefixes) || !is_text(*afters))
        return refusal(400, "A name has no zero byte.");
    auto names =
        client.names(prefixes->empty() ? "" : prefixes->front(), afters->empty() ? "" : afters->front(), *limit + 1);
    const bool more = names.size() > static_cast<std::size_t>(*limit);
    if (more)
        names.resize(static_cast<std::size_t>(*limit));
    Response response;
    response.with("Content-Type", "application/json").with("Cache-Control", "no-store");
    // In a database without an encoding a name may be no UTF-8, which JSON cannot carry.
    response.body = nlohmann::json{{"streams", names}, {"more", more}}.dump(-1, ' ', false,
                                                                            nlohmann::json::error_handler_t::replace);
    return response;
}

}  // namespace rill::serve
