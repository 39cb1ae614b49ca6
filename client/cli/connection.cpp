// See connection.hpp.
#include "connection.hpp"

#include "rill/error.hpp"

#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>

#include <libpq-fe.h>

namespace rill::cli {
namespace {

void add(std::string &out, std::string_view keyword, std::string_view value) {
    out.append(keyword).append("='");
    for (const char c : value) {
        if (c == '\'' || c == '\\')
            out += '\\';
        out += c;
    }
    out += "' ";
}

}  // namespace

std::string conninfo(const ConnectionOptions &options) {
    std::string out;
    const std::string &database = options.database;
    const bool is_uri = database.starts_with("postgres://") || database.starts_with("postgresql://");
    if (!is_uri && database.find('=') == std::string::npos) {
        if (!database.empty())
            add(out, "dbname", database);
    } else {
        const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> parsed(
            PQconninfoParse(database.c_str(), nullptr), &PQconninfoFree);
        if (parsed == nullptr)
            throw Error("invalid connection string in --dbname", {.sqlstate = "08001"});
        for (const PQconninfoOption *option = parsed.get(); option->keyword != nullptr; ++option)
            if (option->val != nullptr)
                add(out, option->keyword, option->val);
    }
    if (options.raw_names && out.find("client_encoding='") == std::string::npos &&
        std::getenv("PGCLIENTENCODING") == nullptr)
        add(out, "client_encoding", "SQL_ASCII");
    // Later settings win.
    if (!options.host.empty())
        add(out, "host", options.host);
    if (!options.port.empty())
        add(out, "port", options.port);
    if (!options.user.empty())
        add(out, "user", options.user);
    return out;
}

std::string conninfo(const ConnectionOptions &options, const std::string &role) {
    std::string out = conninfo(options);
    if (role.empty())
        return out;
    // What stands there already is kept: libpq takes only one setting of "options".
    const char *const environment = std::getenv("PGOPTIONS");
    std::string settings = environment == nullptr ? "" : environment;
    const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> parsed(PQconninfoParse(out.c_str(), nullptr),
                                                                              &PQconninfoFree);
    for (const PQconninfoOption *option = parsed.get(); option != nullptr && option->keyword != nullptr; ++option)
        if (std::string_view(option->keyword) == "options" && option->val != nullptr)
            settings = option->val;
    settings += " -c role=";
    for (const char c : role) {
        if (c == ' ' || c == '\\')
            settings += '\\';
        settings += c;
    }
    add(out, "options", settings);
    return out;
}

Client connect(const ConnectionOptions &options, Options client_options) {
    client_options.application_name = "rill";
    return Client(conninfo(options), std::move(client_options));
}

}  // namespace rill::cli
