// rill serve: streams over HTTP. See serve/README for how.
//
// Exit code: 128 and the signal's number when a signal ends it, as for every server; 1 when it cannot begin.
#include "serve.hpp"

#include "command_line.hpp"
#include "commands.hpp"
#include "connection.hpp"
#include "connection_reports.hpp"
#include "line_writer.hpp"
#include "output.hpp"

#include <algorithm>
#include <chrono>
#include <string>

#include <unistd.h>

namespace rill::cli {

int serve(const ConnectionOptions &connection, const ServeOptions &options) {
    if (!serve::is_loopback(options.listen) && options.tokens.empty() && !options.insecure)
        throw UsageError("--listen " + options.listen +
                         " lets others use the streams with this role's rights; it needs --tokens, or --insecure");
    // Reports go the same way as the access log: they come from librill's threads, which must not wait for a reader.
    serve::LineWriter errors(STDERR_FILENO);
    const auto report_error = [&errors](const std::string &message) {
        errors.put(error_line(message), serve::LineWriter::Kind::report);
    };
    serve::ServeOptions server{.host = options.listen, .port = options.port, .limits = {}, .gateway = {}};
    if (!options.tokens.empty())
        server.tokens = serve::Tokens::read_file(options.tokens);
    server.gateway.loopback = serve::is_loopback(options.listen);
    server.limits.body_bytes = options.max_body;
    server.limits.all_bodies = std::max(std::size_t{64} * 1024 * 1024, 16 * options.max_body);
    server.gateway.origins.insert(options.origins.begin(), options.origins.end());
    server.gateway.reads.long_poll = std::chrono::milliseconds(static_cast<long long>(options.long_poll * 1000));
    server.access_log = options.access_log ? &errors : nullptr;
    server.gateway.dropped_lines = [&errors] { return errors.dropped(); };
    server.events = [&report_error](const std::string &role) {
        const std::string whose = role.empty() ? "" : "role \"" + role + "\": ";
        return [whose, &report_error, report = ConnectionReports(report_error, whose)](const Event &event) mutable {
            if (event.kind == Event::Kind::degraded)
                report_error(whose + event.reason + (event.hint.empty() ? "" : " (" + event.hint + ")"));
            report(event);
        };
    };
    const bool is_v6 = options.listen.find(':') != std::string::npos;
    const int signal =
        serve::serve([&](const std::string &role) { return conninfo(connection, role); }, server,
                     [&](std::uint16_t port) {
                         Output out;
                         out.write("listening on http://" + (is_v6 ? "[" + options.listen + "]" : options.listen) +
                                   ":" + std::to_string(port) + "\n");
                         out.flush();
                     });
    return 128 + signal;
}

}  // namespace rill::cli
