// The command `rill serve`, below the command line.
#pragma once

#include "gateway.hpp"
#include "http_server.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string>

namespace rill::serve {

struct ServeOptions {
    std::string host = "127.0.0.1";
    std::uint16_t port = 4437;
    HttpLimits limits;
    GatewayOptions gateway;
    std::optional<Tokens> tokens{};
    LineWriter *access_log = nullptr;  // gets a line for each request; null: nothing does
    // Makes what is told of the connections of a role; it is called on librill's threads.
    std::function<std::function<void(const Event &)>(const std::string &role)> events{};
};

// Whether only this machine can reach the address.
[[nodiscard]] bool is_loopback(const std::string &host);

// Connects once for each role of the tokens, or once with an empty role, by `conninfo_of`; calls `listening` with the
// port, and serves until a signal, which it returns.
int serve(const std::function<std::string(const std::string &role)> &conninfo_of, const ServeOptions &options,
          const std::function<void(std::uint16_t)> &listening);

}  // namespace rill::serve
