// See serve.hpp. The order of ends: the loop's, the client's (calls under way return), the call threads'.
#include "serve.hpp"

#include <chrono>
#include <memory>
#include <utility>

#include <sys/resource.h>

namespace rill::serve {
namespace {

// Each client is a file descriptor, and the usual soft limit is 1,024.
void allow_many_files() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void) ::setrlimit(RLIMIT_NOFILE, &limit);
    }
}

}  // namespace

bool is_loopback(const std::string &host) {
    return host == "localhost" || host == "::1" ||
           (host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos);
}

int serve(const std::function<std::string(const std::string &role)> &conninfo_of, const ServeOptions &options,
          const std::function<void(std::uint16_t)> &listening) {
    allow_many_files();
    // First, so that no callback can reach it when it is gone.
    HttpServer server(options.limits);
    // Two tries fit into the time that a request waits for the database. A large body takes longer, at 16 MB/s.
    const std::chrono::milliseconds call_timeout =
        options.gateway.attempts.outage_wait / 2 + std::chrono::milliseconds(options.limits.body_bytes / 16'384);
    Clients clients;
    for (const auto &role : options.tokens ? options.tokens->roles() : std::set<std::string>{""})
        clients[role] = std::make_unique<Client>(conninfo_of(role),
                                                 Options{.wait_streams = 0,
                                                         .call_timeout = call_timeout,
                                                         .call_connections = options.gateway.calls(),
                                                         .buffer_bytes = 2 * options.gateway.reads.page_bytes,
                                                         .application_name = "rill serve",
                                                         .on_event = options.events ? options.events(role) : nullptr});
    const std::uint16_t port = server.listen(options.host, options.port);
    auto gateway = std::make_unique<Gateway>(server.loop(), clients, options.tokens, options.gateway,
                                             [&server] { return server.connections(); });
    listening(port);
    const int signal = server.run(*gateway, [&] { gateway->stop(); });
    for (const auto &[role, client] : clients)
        client->close();
    gateway.reset();
    return signal;
}

}  // namespace rill::serve
