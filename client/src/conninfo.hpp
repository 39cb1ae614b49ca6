// What a connection is made with: the user's connection string, with our defaults where the user has said nothing.
//
// "Said" means in the string, in a service file or in a PG* variable.
// Situations it must survive: malformed strings (without repeating a password), unknown services, lists of unequal
// length, strings with a password in them: nothing here is ever logged.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rill::detail {

// One element of the lists that host, hostaddr and port are.
struct Target {
    std::string host;
    std::string hostaddr;
    std::string port;

    friend bool operator==(const Target &, const Target &) = default;
};

class ConnectPlan {
public:
    using Settings = std::vector<std::pair<std::string, std::string>>;

    // Throws Error (SQLSTATE 08001) for a string that libpq cannot read.
    explicit ConnectPlan(std::string_view conninfo, std::string_view application_name = "librill");

    // The settings for one connection; `role` is appended to the application's name, if that is ours to choose, and
    // `targets`, if there are any, are where to go instead of the listed hosts.
    [[nodiscard]] Settings settings(std::string_view role, const std::vector<Target> &targets) const;

    // The listed hosts; none when there is no list, or lists of unequal length, which libpq is to complain about.
    [[nodiscard]] std::vector<Target> targets() const;

    // How long one host may take; zero is without limit.
    [[nodiscard]] std::chrono::seconds connect_timeout() const noexcept { return connect_timeout_; }

    // What the user or the environment has set, or what we chose; empty if neither.
    [[nodiscard]] std::string_view value(std::string_view keyword) const noexcept;

private:
    void set_default(std::string_view keyword, std::string_view value);

    Settings settings_;
    std::string application_name_;
    std::chrono::seconds connect_timeout_{5};
};

// The elements of a comma-separated list, empty ones too. Pure.
[[nodiscard]] std::vector<std::string_view> split_list(std::string_view list);

}  // namespace rill::detail
