// The command `rill serve`, below the command line.
#pragma once

#include "gateway.hpp"
#include "http_server.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace rill::serve {

struct ServeOptions {
    std::string host = "127.0.0.1";
    std::uint16_t port = 4437;
    HttpLimits limits;
    GatewayOptions gateway;
};

// Whether only this machine can reach the address.
[[nodiscard]] bool is_loopback(const std::string &host);

// Connects with `conninfo`, calls `listening` with the port, and serves until a signal, which it returns.
int serve(const std::string &conninfo, const ServeOptions &options,
          const std::function<void(std::uint16_t)> &listening);

}  // namespace rill::serve
