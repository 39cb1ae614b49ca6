// See serve.hpp. The order of ends: the loop's, the client's (calls under way return), the call threads'.
#include "serve.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <set>
#include <string>
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

// How many may connect without taking the descriptors that this process needs itself: librill opens a connection when
// it is needed, also after an outage, and a wake-up for each call that waits.
std::size_t connections_within(std::size_t wanted, std::size_t roles, std::size_t calls) {
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) != 0)
        return wanted;
    const rlim_t own = 64 + 2 * (calls + 2) * roles;
    return std::min<rlim_t>(wanted, files.rlim_cur > own + 16 ? files.rlim_cur - own : 16);
}

}  // namespace

bool is_loopback(const std::string &host) {
    return host == "localhost" || host == "::1" ||
           (host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos);
}

int serve(const std::function<std::string(const std::string &role)> &conninfo_of, const ServeOptions &options,
          const std::function<void(std::uint16_t)> &listening) {
    allow_many_files();
    const auto roles = options.tokens ? options.tokens->roles() : std::set<std::string>{""};
    HttpLimits limits = options.limits;
    limits.connections = connections_within(limits.connections, roles.size(), options.gateway.calls());
    // First, so that no callback can reach it when it is gone.
    HttpServer server(limits, options.access_log);
    // Two tries fit into the time that a request waits for the database. A large body takes longer, at 16 MB/s.
    const std::chrono::milliseconds call_timeout =
        options.gateway.attempts.outage_wait / 2 + std::chrono::milliseconds(options.limits.body_bytes / 16'384);
    Clients clients;
    for (const auto &role : roles)
        clients[role] = std::make_unique<Client>(conninfo_of(role),
                                                 Options{.wait_streams = 0,
                                                         .call_timeout = call_timeout,
                                                         .call_connections = options.gateway.calls(),
                                                         // Requests wait ten seconds: by then the end of an outage,
                                                         // however long, must have been noticed.
                                                         .reconnect_max = std::chrono::seconds(1),
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
