// Which request goes where: paths to streams, methods to handlers, blocking calls to threads; and what every answer
// carries (CORS, headers for browsers).
//
// A page that a browser has loaded from elsewhere must not use a server on loopback behind the user's back: a request
// with an Origin that is neither this server's own nor allowed by --cors is refused, whatever it asks for, and one
// without an Origin if the browser says that a page of another origin makes it. Nor may it give its own name this
// machine's address: on loopback the Host must be this machine's, or that of an allowed origin. Without tokens it must
// be so elsewhere, too, or an address: what a page cannot name itself.
#pragma once

#include "attempts.hpp"
#include "call_threads.hpp"
#include "http.hpp"
#include "reads.hpp"
#include "rill/client.hpp"
#include "tokens.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace rill::serve {

struct GatewayOptions {
    ReadOptions reads;
    std::set<std::string> origins{};  // "*" is any
    bool loopback = true;             // it listens there, so Host must say so
    AttemptOptions attempts{};
    std::size_t touch_threads = 2;
    std::function<std::uint64_t()> dropped_lines{};  // that standard error did not take

    // How many calls of one client can run at once. One is for the health.
    [[nodiscard]] std::size_t calls() const { return attempts.threads + touch_threads + 1; }
};

// Each role's client: with tokens those of their roles, without them one whose name is empty.
using Clients = std::map<std::string, std::unique_ptr<Client>>;

// Thread-safety: the loop's thread. The clients and the loop outlive it.
class Gateway : public Handler {
public:
    Gateway(Loop &loop, const Clients &clients, std::optional<Tokens> tokens, const GatewayOptions &options,
            std::function<std::size_t()> connections);
    Gateway(const Gateway &) = delete;
    Gateway &operator=(const Gateway &) = delete;
    ~Gateway() override = default;

    // Refuses foreign pages, foreign names, and whoever has no token.
    [[nodiscard]] std::optional<Response> admit(Request &head) override;
    void handle(Request request, std::shared_ptr<Exchange> exchange) override;
    // Ends the reads that wait. Requests in flight are answered.
    void stop();

private:
    class Finishing;
    // What the answers to a request depend on; kept as long as they take, so it is not the request.
    struct Asker {
        std::string method;  // "other" if it is unknown
        std::string origin;  // whose pages may read the answers: "*", its own, or none
    };
    [[nodiscard]] Asker asker_of(const Request &head) const;
    // Adds to an answer what every one carries, and counts it.
    void complete(Response &response, const Asker &asker);
    [[nodiscard]] std::optional<Response> refusal_of(const Request &head) const;
    // The role whose rights a request has; nullopt: it has none.
    [[nodiscard]] std::optional<std::string> role_of(const Request &head) const;
    void route(const std::shared_ptr<Request> &request, const std::shared_ptr<Exchange> &exchange);
    void read(ReadContext &access, const std::shared_ptr<Request> &request, const std::string &stream,
              const std::shared_ptr<Exchange> &exchange);
    // A new request costs no call while one for those before it is under way.
    void health(const std::shared_ptr<Exchange> &exchange);
    [[nodiscard]] Response metrics() const;

    const std::optional<Tokens> tokens_;
    const GatewayOptions options_;
    std::function<std::size_t()> connections_;
    std::map<std::pair<std::string, int>, std::uint64_t> answers_;  // by method and status
    std::map<std::string, ReadContext> accesses_;                   // by role; never changed once made
    std::vector<std::shared_ptr<Exchange>> health_asked_;
    Attempts attempts_;
    Attempts health_attempts_;  // with a thread of its own: whoever asks for the health restarts what does not answer
    CallThreads touch_threads_;
};

}  // namespace rill::serve
