// See conninfo.hpp.
#include "conninfo.hpp"

#include "rill/error.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <memory>
#include <new>

#include <libpq-fe.h>

namespace rill::detail {
namespace {

using PqOptions = std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)>;

[[noreturn]] void throw_malformed(std::string_view conninfo, std::string reason) {
    // libpq quotes what it cannot parse, and that may be a piece of a password.
    if (conninfo.find("password") != std::string_view::npos || conninfo.find('@') != std::string_view::npos)
        reason = "it cannot be parsed";
    while (!reason.empty() && reason.back() == '\n')
        reason.pop_back();
    throw Error("invalid connection string: " + reason, {.sqlstate = "08001", .kind = ErrorKind::usage});
}

// What libpq itself would use for this string: its own values, then the service's, then the environment's. libpq looks
// up a service named in the string only when it starts a connection; an impossible sslmode ends that start before it
// touches the network.
PqOptions effective_options(const std::string &conninfo) {
    const char *const keywords[] = {"dbname", "sslmode", nullptr};
    const char *const values[] = {conninfo.c_str(), "none of them", nullptr};
    const std::unique_ptr<PGconn, decltype(&PQfinish)> conn(PQconnectStartParams(keywords, values, 1), &PQfinish);
    if (conn == nullptr)
        throw std::bad_alloc();
    return {PQconninfo(conn.get()), &PQconninfoFree};
}

}  // namespace

Conninfo::Conninfo(std::string_view conninfo, std::string_view application_name) : application_name_(application_name) {
    if (conninfo.find('\0') != std::string_view::npos)
        throw_malformed({}, "it contains a zero byte");
    const std::string source(conninfo);
    // Like psql, libpq takes a string without "=" that is no URI for a database name.
    if (source.find('=') == std::string::npos && !source.starts_with("postgres://") &&
        !source.starts_with("postgresql://")) {
        if (!source.empty())
            parameters_.emplace_back("dbname", source);
    } else {
        char *message = nullptr;
        const PqOptions given(PQconninfoParse(source.c_str(), &message), &PQconninfoFree);
        const std::unique_ptr<char, decltype(&PQfreemem)> owner(message, &PQfreemem);
        if (given == nullptr)
            throw_malformed(conninfo, message == nullptr ? "out of memory" : message);
        for (const PQconninfoOption *option = given.get(); option->keyword != nullptr; ++option)
            if (option->val != nullptr)
                parameters_.emplace_back(option->keyword, option->val);
    }

    const PqOptions effective = effective_options(source);
    const auto is_set = [&](std::string_view keyword) {
        if (!value(keyword).empty())
            return true;
        for (const PQconninfoOption *option = effective.get(); option != nullptr && option->keyword != nullptr;
             ++option)
            if (option->keyword == keyword)
                return option->val != nullptr && option->val[0] != '\0';
        return false;
    };
    // A peer that is gone is noticed within ten seconds, on an idle connection too.
    constexpr std::pair<std::string_view, std::string_view> defaults[] = {
        {"connect_timeout", "5"},     {"keepalives", "1"},       {"keepalives_idle", "4"},
        {"keepalives_interval", "2"}, {"keepalives_count", "2"}, {"tcp_user_timeout", "8000"},
        {"client_encoding", "UTF8"},
    };
    for (const auto &[keyword, fallback] : defaults)
        if (!is_set(keyword))
            set_default(keyword, fallback);
    if (is_set("application_name"))
        application_name_.clear();

    // We resolve hosts and keep the timeout ourselves, so what the environment or a service says of them is needed
    // here.
    for (const PQconninfoOption *option = effective.get(); option != nullptr && option->keyword != nullptr; ++option) {
        const std::string_view keyword = option->keyword;
        const bool wanted =
            keyword == "host" || keyword == "hostaddr" || keyword == "port" || keyword == "connect_timeout";
        if (wanted && option->val != nullptr && option->val[0] != '\0')
            set_default(keyword, option->val);
    }
    int seconds = 0;
    const std::string_view timeout = value("connect_timeout");
    if (std::from_chars(timeout.data(), timeout.data() + timeout.size(), seconds).ec == std::errc{})
        connect_timeout_ = std::chrono::seconds(seconds <= 0 ? 0 : std::max(seconds, 2));  // as in libpq
}

void Conninfo::set_default(std::string_view keyword, std::string_view value_if_unset) {
    if (value(keyword).empty())
        parameters_.emplace_back(keyword, value_if_unset);
}

std::string_view Conninfo::value(std::string_view keyword) const noexcept {
    for (const auto &[name, value] : parameters_)
        if (name == keyword)
            return value;
    return {};
}

Conninfo::Parameters Conninfo::parameters(std::string_view purpose, const std::vector<Host> &hosts) const {
    Parameters all = parameters_;
    if (!hosts.empty()) {
        std::erase_if(all, [](const auto &parameter) {
            return parameter.first == "host" || parameter.first == "hostaddr" || parameter.first == "port";
        });
        Host lists = hosts.front();
        for (auto host = hosts.begin() + 1; host != hosts.end(); ++host) {
            lists.name += ',' + host->name;
            lists.address += ',' + host->address;
            lists.port += ',' + host->port;
        }
        all.emplace_back("host", lists.name);
        all.emplace_back("hostaddr", lists.address);
        all.emplace_back("port", lists.port);
    }
    if (!application_name_.empty()) {
        std::string name = application_name_;
        if (!purpose.empty())
            name.append(" ").append(purpose);
        all.emplace_back("fallback_application_name", std::move(name));
    }
    return all;
}

std::vector<Host> Conninfo::hosts() const {
    const auto list = [this](std::string_view keyword) {
        const std::string_view all = value(keyword);
        return all.empty() ? std::vector<std::string_view>{} : split_list(all);
    };
    const auto names = list("host");
    const auto addresses = list("hostaddr");
    const auto ports = list("port");
    const std::size_t count = std::max(names.size(), addresses.size());
    const auto fits = [count](const auto &part) { return part.empty() || part.size() == count; };
    if (!fits(names) || !fits(addresses) || !(fits(ports) || ports.size() == 1))
        return {};
    const auto at = [](const auto &part, std::size_t i) { return std::string(i < part.size() ? part[i] : ""); };
    std::vector<Host> all;
    for (std::size_t i = 0; i < count; ++i)
        all.push_back({at(names, i), at(addresses, i), at(ports, ports.size() == 1 ? 0 : i)});
    return all;
}

std::vector<std::string_view> split_list(std::string_view list) {
    std::vector<std::string_view> parts;
    for (std::size_t begin = 0;;) {
        const std::size_t comma = list.find(',', begin);
        parts.push_back(list.substr(begin, comma - begin));
        if (comma == std::string_view::npos)
            return parts;
        begin = comma + 1;
    }
}

}  // namespace rill::detail
