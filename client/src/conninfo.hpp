// What a connection is made with: the user's connection string, with our defaults for what the user has left open. A
// setting counts as made when it stands in the string, in a service file or in a PG* variable.
//
// Situations it must survive: malformed strings (without repeating a password), unknown services, lists of unequal
// length. Strings hold passwords, so nothing here is ever logged.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rill::detail {

// One element of the parallel lists host, hostaddr and port.
struct Host {
    std::string name;  // a host name, an address or a socket directory
    std::string address;
    std::string port;

    friend bool operator==(const Host &, const Host &) = default;
};

class Conninfo {
public:
    using Parameters = std::vector<std::pair<std::string, std::string>>;

    // Throws Error 08001 for a string that libpq cannot parse.
    explicit Conninfo(std::string_view conninfo, std::string_view application_name = "librill");

    // libpq's parameters for one connection. `purpose` is appended to the application's name, if that is ours to
    // choose; `hosts`, unless empty, replaces the listed hosts.
    [[nodiscard]] Parameters parameters(std::string_view purpose, const std::vector<Host> &hosts) const;

    // The listed hosts. Empty when there is no list, and for lists of unequal length: libpq reports those.
    [[nodiscard]] std::vector<Host> hosts() const;

    // How long an attempt at one host may take; zero is no limit.
    [[nodiscard]] std::chrono::seconds connect_timeout() const noexcept { return connect_timeout_; }

    // The value from the string or our default; empty if there is neither.
    [[nodiscard]] std::string_view value(std::string_view keyword) const noexcept;

private:
    void set_default(std::string_view keyword, std::string_view value);

    Parameters parameters_;
    std::string application_name_;  // empty: the user has chosen one
    std::chrono::seconds connect_timeout_{5};
};

// The elements of a comma-separated list, empty ones included. Pure.
[[nodiscard]] std::vector<std::string_view> split_list(std::string_view list);

}  // namespace rill::detail
