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

using Options = std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)>;

[[noreturn]] void malformed(std::string_view conninfo, std::string reason) {
    // libpq quotes what it does not understand, and that may be a piece of a password.
    if (conninfo.find("password") != std::string_view::npos || conninfo.find('@') != std::string_view::npos)
        reason = "it cannot be parsed";
    while (!reason.empty() && reason.back() == '\n')
        reason.pop_back();
    throw Error("invalid connection string: " + reason, {.sqlstate = "08001", .connection_lost = true});
}

// What libpq itself would use for this string: its own values, then the service's, then the environment's. Only
// starting a connection resolves a service named in the string; an impossible sslmode ends that start before it
// touches the network.
Options effective(const std::string &conninfo) {
    const char *const keywords[] = {"dbname", "sslmode", nullptr};
    const char *const values[] = {conninfo.c_str(), "none of them", nullptr};
    const std::unique_ptr<PGconn, decltype(&PQfinish)> conn(PQconnectStartParams(keywords, values, 1), &PQfinish);
    if (conn == nullptr)
        throw std::bad_alloc();
    return {PQconninfo(conn.get()), &PQconninfoFree};
}

}  // namespace

ConnectPlan::ConnectPlan(std::string_view conninfo, std::string_view application_name)
    : application_name_(application_name) {
    if (conninfo.find('\0') != std::string_view::npos)
        malformed({}, "it holds a zero byte");
    const std::string source(conninfo);
    // libpq takes what has no "=" and is no URI for a database's name, as psql does.
    if (source.find('=') == std::string::npos && !source.starts_with("postgres://") &&
        !source.starts_with("postgresql://")) {
        if (!source.empty())
            settings_.emplace_back("dbname", source);
    } else {
        char *message = nullptr;
        const Options given(PQconninfoParse(source.c_str(), &message), &PQconninfoFree);
        const std::unique_ptr<char, decltype(&PQfreemem)> owner(message, &PQfreemem);
        if (given == nullptr)
            malformed(conninfo, message == nullptr ? "out of memory" : message);
        for (const PQconninfoOption *option = given.get(); option->keyword != nullptr; ++option)
            if (option->val != nullptr)
                settings_.emplace_back(option->keyword, option->val);
    }

    const Options known = effective(source);
    const auto is_set = [&](std::string_view keyword) {
        if (!value(keyword).empty())
            return true;
        for (const PQconninfoOption *option = known.get(); option != nullptr && option->keyword != nullptr; ++option)
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

    // What the environment or a service says about hosts and the timeout is ours to follow as well.
    for (const PQconninfoOption *option = known.get(); option != nullptr && option->keyword != nullptr; ++option) {
        const std::string_view keyword = option->keyword;
        const bool wanted =
            keyword == "host" || keyword == "hostaddr" || keyword == "port" || keyword == "connect_timeout";
        if (wanted && option->val != nullptr && option->val[0] != '\0')
            set_default(keyword, option->val);
    }
    int seconds = 0;
    const std::string_view timeout = value("connect_timeout");
    if (std::from_chars(timeout.data(), timeout.data() + timeout.size(), seconds).ec == std::errc{})
        connect_timeout_ = std::chrono::seconds(seconds <= 0 ? 0 : std::max(seconds, 2));  // as libpq has it
}

void ConnectPlan::set_default(std::string_view keyword, std::string_view value_if_unset) {
    if (value(keyword).empty())
        settings_.emplace_back(keyword, value_if_unset);
}

std::string_view ConnectPlan::value(std::string_view keyword) const noexcept {
    for (const auto &[name, value] : settings_)
        if (name == keyword)
            return value;
    return {};
}

ConnectPlan::Settings ConnectPlan::settings(std::string_view role, const std::vector<Target> &targets) const {
    Settings all = settings_;
    if (!targets.empty()) {
        std::erase_if(all, [](const auto &setting) {
            return setting.first == "host" || setting.first == "hostaddr" || setting.first == "port";
        });
        Target lists = targets.front();
        for (auto target = targets.begin() + 1; target != targets.end(); ++target) {
            lists.host += ',' + target->host;
            lists.hostaddr += ',' + target->hostaddr;
            lists.port += ',' + target->port;
        }
        all.emplace_back("host", lists.host);
        all.emplace_back("hostaddr", lists.hostaddr);
        all.emplace_back("port", lists.port);
    }
    if (!application_name_.empty()) {
        std::string name = application_name_;
        if (!role.empty())
            name.append(" ").append(role);
        all.emplace_back("fallback_application_name", std::move(name));
    }
    return all;
}

std::vector<Target> ConnectPlan::targets() const {
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
    std::vector<Target> all;
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
