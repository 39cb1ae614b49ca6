// See serve.hpp. The order of ends: the loop's, the client's (calls under way return), the call threads'.
#include "serve.hpp"

#include <memory>
#include <utility>

namespace rill::serve {

bool is_loopback(const std::string &host) {
    return host == "localhost" || host == "::1" ||
           (host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos);
}

int serve(const std::string &conninfo, const ServeOptions &options,
          const std::function<void(std::uint16_t)> &listening) {
    // First, so that no callback can reach it when it is gone.
    HttpServer server(options.limits);
    Client client(conninfo, {.wait_streams = 0,
                             .call_connections = options.gateway.call_threads,
                             .buffer_bytes = 2 * options.gateway.reads.page_bytes,
                             .application_name = "rill serve"});
    const std::uint16_t port = server.listen(options.host, options.port);
    auto gateway =
        std::make_unique<Gateway>(server.loop(), client, options.gateway, [&server] { return server.connections(); });
    listening(port);
    const int signal = server.run(
        [&](Request request, std::shared_ptr<Exchange> exchange) {
            gateway->handle(std::move(request), std::move(exchange));
        },
        [&] { gateway->stop(); });
    client.close();
    gateway.reset();
    return signal;
}

}  // namespace rill::serve
