// Which request goes where: paths to streams, methods to handlers, blocking calls to threads; and what every answer
// carries (CORS, headers for browsers).
//
// A page that a browser has loaded from elsewhere must not use a server on loopback behind the user's back: a request
// with an Origin that is neither this server's own nor allowed by --cors is refused, whatever it asks for, and one
// without an Origin if the browser says that a page of another origin makes it. Nor may it give its own name this
// machine's address: on loopback the Host must be this machine's, or that of an allowed origin.
#pragma once

#include "call_threads.hpp"
#include "http.hpp"
#include "reads.hpp"
#include "rill/client.hpp"
#include "tokens.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

namespace rill::serve {

struct GatewayOptions {
    ReadOptions reads;
    std::set<std::string> origins{};  // "*" is any
    bool loopback = true;             // it listens there, so Host must say so
    std::size_t call_threads = 8;
    std::size_t waiting_calls = 10'000;
    std::chrono::milliseconds producer_wait{250};   // for the request before one that came too early
    std::chrono::milliseconds outage_wait{10'000};  // before an outage of the database is an answer
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
    ~Gateway() override;

    // Refuses foreign pages, foreign names, and whoever has no token.
    [[nodiscard]] std::optional<Response> admit(const Request &head) override;
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
    struct Attempt;
    void attempt(const std::shared_ptr<Attempt> &attempt);
    void respond(const std::shared_ptr<Exchange> &exchange, bool repeatable,
                 std::function<std::optional<Response>(bool waited_enough)> work);
    void health(const std::shared_ptr<Exchange> &exchange);
    [[nodiscard]] Response metrics() const;

    Loop &loop_;
    const std::optional<Tokens> tokens_;
    const GatewayOptions options_;
    std::function<std::size_t()> connections_;
    // What is posted to the loop after this object's end does nothing.
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    std::map<std::pair<std::string, int>, std::uint64_t> answers_;  // by method and status
    std::map<std::uint64_t, Timer> retries_;
    std::uint64_t next_retry_ = 0;
    std::map<std::string, ReadContext> accesses_;  // by role; never changed once made
    CallThreads threads_;
};

}  // namespace rill::serve
