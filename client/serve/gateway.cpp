// See gateway.hpp.
#include "gateway.hpp"

#include "calls.hpp"
#include "failures.hpp"
#include "fields.hpp"
#include "page.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace rill::serve {
namespace {

constexpr std::string_view kStreams = "/v1/stream/";
constexpr std::string_view kHealth = "/health";
constexpr std::string_view kPage = "/";
constexpr std::string_view kSubscriptions = "__ds/";
constexpr std::chrono::milliseconds kProducerStep{20};
constexpr std::chrono::milliseconds kOutageStep{200};

void allow_origin(Response &response, const std::string &origin) {
    response.with("Access-Control-Allow-Origin", origin);
    if (origin != "*")
        response.with("Vary", "Origin");
    response.with("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, HEAD, OPTIONS")
        .with("Access-Control-Allow-Headers", "Content-Type, Authorization, If-None-Match, Stream-Seq, Stream-TTL, "
                                              "Stream-Expires-At, Stream-Closed, Producer-Id, Producer-Epoch, "
                                              "Producer-Seq")
        .with("Access-Control-Expose-Headers",
              "Stream-Next-Offset, Stream-Cursor, Stream-Up-To-Date, Stream-Closed, Stream-TTL, Stream-Expires-At, "
              "Stream-First-Offset, Stream-Content-Type, Stream-SSE-Data-Encoding, Producer-Epoch, Producer-Seq, "
              "Producer-Expected-Seq, "
              "Producer-Received-Seq, "
              "ETag, Location, Retry-After")
        .with("Access-Control-Max-Age", "600");
}

void protect(Response &response, bool from_everywhere) {
    response.with("X-Content-Type-Options", "nosniff")
        .with("Cross-Origin-Resource-Policy", from_everywhere ? "cross-origin" : "same-origin");
    // Data that somebody opens as a page must not run as one.
    if (!response.has("Content-Security-Policy"))
        response.with("Content-Security-Policy", "default-src 'none'; sandbox");
}

// Whose pages may read the answer to this request: "*", its own origin, or empty.
std::string allowed_origin(const std::set<std::string> &origins, const Request &request) {
    if (origins.contains("*"))
        return "*";
    std::string origin(request.header("origin").value_or(""));
    return origins.contains(origin) ? origin : "";
}

bool is_own_origin(std::string_view origin, const Request &request) {
    const std::size_t slashes = origin.find("://");
    const auto host = request.header("host");
    return host && slashes != std::string_view::npos && origin.substr(slashes + 3) == *host;
}

// Browsers send no Origin with what a page shows or runs (<img>, <script>, fetch() in the mode "no-cors"), but where
// the page is from. A link that the user has followed is no use by the page.
bool is_of_foreign_page(const Request &request) {
    if (const auto origin = request.header("origin"); origin && !origin->empty())
        return !is_own_origin(*origin, request);
    const auto site = request.header("sec-fetch-site");
    const bool followed =
        request.header("sec-fetch-mode") == "navigate" && request.header("sec-fetch-dest") == "document";
    return (site == "cross-site" || site == "same-site") && !followed;
}

// Without a port.
std::string_view host_name(std::string_view host) {
    const std::size_t bracket = host.find(']');
    if (bracket != std::string_view::npos)
        return host.substr(0, bracket + 1);
    return host.substr(0, host.find(':'));
}

bool is_loopback_name(std::string_view name) {
    return name == "localhost" || name == "[::1]" ||
           (name.starts_with("127.") && name.find_first_not_of("0123456789.") == std::string_view::npos);
}

bool may_be_named(const std::set<std::string> &origins, std::string_view host) {
    return is_loopback_name(host_name(host)) || std::ranges::any_of(origins, [host](const std::string &origin) {
               const std::size_t slashes = origin.find("://");
               return origin == "*" ||
                      (slashes != std::string::npos && std::string_view(origin).substr(slashes + 3) == host);
           });
}

std::string url_of(const Request &request) {
    return "http://" + std::string(request.header("host").value_or("localhost")) + request.path;
}

}  // namespace

// Completes the answer to a request.
class Gateway::Finishing : public Exchange {
public:
    Finishing(Gateway &gateway, std::shared_ptr<Exchange> exchange, Asker asker)
        : gateway_(gateway), exchange_(std::move(exchange)), asker_(std::move(asker)) {}

    void send(Response response) override {
        gateway_.complete(response, asker_);
        exchange_->send(std::move(response));
    }
    void start(Response head) override {
        gateway_.complete(head, asker_);
        exchange_->start(std::move(head));
    }
    void write(std::string part) override { exchange_->write(std::move(part)); }
    void finish() override { exchange_->finish(); }
    [[nodiscard]] std::size_t unsent() const override { return exchange_->unsent(); }
    void notify(std::function<void()> drained, std::function<void()> gone) override {
        exchange_->notify(std::move(drained), std::move(gone));
    }

private:
    Gateway &gateway_;
    std::shared_ptr<Exchange> exchange_;
    Asker asker_;
};

Gateway::Gateway(Loop &loop, const Clients &clients, std::optional<Tokens> tokens, const GatewayOptions &options,
                 std::function<std::size_t()> connections)
    : loop_(loop), tokens_(std::move(tokens)), options_(options), connections_(std::move(connections)),
      threads_(options.call_threads, options.waiting_calls) {
    for (const auto &[role, client] : clients) {
        auto touch = [this, &its_client = *client](const std::string &stream) {
            (void) threads_.run([&its_client, stream] {
                (void) guarded([&] {
                    (void) its_client.touch(stream);
                    return Response();
                });
            });
        };
        accesses_.try_emplace(role, loop, *client, options.reads, std::move(touch));
    }
}

Gateway::~Gateway() { *alive_ = false; }

void Gateway::stop() {
    for (auto &[role, access] : accesses_) {
        const auto live = access.live;  // ending one takes it out of the set
        for (LiveRead *const read : live)
            if (access.live.contains(read))
                read->end();
    }
}

std::optional<std::string> Gateway::role_of(const Request &head) const {
    return tokens_ ? tokens_->role_of(head.header("authorization").value_or("")) : "";
}

std::optional<Response> Gateway::refusal_of(const Request &head) const {
    if (allowed_origin(options_.origins, head).empty() && is_of_foreign_page(head))
        return refusal(403, "Pages of this origin may not use this server (see rill serve --cors).");
    if (options_.loopback && !may_be_named(options_.origins, head.header("host").value_or("localhost")))
        return refusal(421, "This server has another name (see rill serve --cors).");
    if (head.method != "OPTIONS" && head.path != kHealth && head.path != kPage && !role_of(head))
        return refusal(401, "This server needs a token.").with("WWW-Authenticate", "Bearer");
    return std::nullopt;
}

std::optional<Response> Gateway::admit(const Request &head) {
    auto refused = refusal_of(head);
    if (refused)
        complete(*refused, asker_of(head));
    return refused;
}

Gateway::Asker Gateway::asker_of(const Request &head) const {
    static const std::set<std::string, std::less<>> kMethods{"GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"};
    return {.method = kMethods.contains(head.method) ? head.method : "other",
            .origin = allowed_origin(options_.origins, head)};
}

void Gateway::complete(Response &response, const Asker &asker) {
    protect(response, !asker.origin.empty());
    if (!asker.origin.empty())
        allow_origin(response, asker.origin);
    ++answers_[{asker.method, response.status}];
}

void Gateway::handle(Request request, std::shared_ptr<Exchange> exchange) {
    auto finishing = std::make_shared<Finishing>(*this, std::move(exchange), asker_of(request));
    route(std::make_shared<Request>(std::move(request)), finishing);
}

void Gateway::route(const std::shared_ptr<Request> &request, const std::shared_ptr<Exchange> &exchange) {
    const std::string &method = request->method;
    const bool reading = method == "GET" || method == "HEAD";
    if (method == "OPTIONS")
        return exchange->send(Response{.status = 204});
    if (request->path == kHealth)
        return reading ? health(exchange) : exchange->send(refusal(405, "Use GET.").with("Allow", "GET, HEAD"));
    if (request->path == kPage)
        return exchange->send(reading ? page() : refusal(405, "Use GET.").with("Allow", "GET, HEAD"));
    ReadContext &access = accesses_.at(role_of(*request).value());
    Client &client = access.client;
    if (request->path == "/metrics")
        return exchange->send(reading ? metrics() : refusal(405, "Use GET.").with("Allow", "GET, HEAD"));
    if (request->path == "/streams")
        return reading ? respond(exchange, true, [&client, request](bool) { return list_streams(client, *request); })
                       : exchange->send(refusal(405, "Use GET.").with("Allow", "GET, HEAD"));
    if (!request->path.starts_with(kStreams))
        return exchange->send(refusal(404, "Streams are at /v1/stream/NAME."));
    const auto name = percent_decoded(std::string_view(request->path).substr(kStreams.size()));
    if (!name || name->empty() || name->size() > 512 || name->find('\0') != std::string::npos)
        return exchange->send(refusal(400, "A stream's name has 1 to 512 bytes of UTF-8."));
    if (name->starts_with(kSubscriptions))
        return exchange->send(refusal(501, "This server has no subscriptions."));

    const std::string &stream = *name;
    if (method == "GET")
        return read(access, request, stream, exchange);
    if (method == "POST")
        return respond(exchange, request->header("producer-id").has_value(),
                       [&client, request, stream](bool waited_enough) {
                           return append_to_stream(client, stream, *request, waited_enough);
                       });
    if (method == "PUT")
        return respond(exchange, true, [&client, request, stream](bool) {
            return create_stream(client, stream, *request, url_of(*request));
        });
    if (method == "HEAD")
        return respond(exchange, true, [&client, stream](bool) { return describe_stream(client, stream); });
    if (method == "DELETE")
        return respond(exchange, false, [&client, stream](bool) { return delete_stream(client, stream); });
    exchange->send(
        refusal(405, "There is no such method here.").with("Allow", "GET, HEAD, PUT, POST, DELETE, OPTIONS"));
}

// A call of the database for a request: made again while it may still come to something.
struct Gateway::Attempt {
    std::shared_ptr<Exchange> exchange;
    // Makes the answer, on a call thread. nullopt: too early, try again; not when `waited_enough`.
    std::function<std::optional<Response>(bool waited_enough)> work;
    std::function<void(const std::shared_ptr<Exchange> &, Response)> done;  // on the loop's thread
    bool repeatable = false;  // harmless when an earlier try did have its effect
    std::chrono::steady_clock::time_point since = std::chrono::steady_clock::now();
};

// The protocol's own producers give up at the first 503, so a short outage must not become one: what had no effect, or
// may be repeated, is tried for some seconds. A request that came before the one that its producer has sent before it
// waits as well: the two may have taken different connections, or different servers like this one.
void Gateway::attempt(const std::shared_ptr<Attempt> &attempt) {
    const auto waited = std::chrono::steady_clock::now() - attempt->since;
    const bool waited_enough = waited >= options_.producer_wait;
    const bool last = waited >= options_.outage_wait;
    // The Attempt and its Exchange belong to the loop: the call's thread hands them back, and never drops the last one.
    const auto held = std::make_shared<std::shared_ptr<Attempt>>(attempt);
    const bool taken = threads_.run([this, &loop = loop_, alive = alive_, held, waited_enough, last] {
        std::optional<Response> answer;
        const Response failed = guarded([&] {
            try {
                answer = (*held)->work(waited_enough);
            } catch (const Error &error) {
                if (last || !is_outage(error) || !(error.retryable() || (*held)->repeatable))
                    throw;
            }
            return Response{.status = 0};
        });
        if (failed.status != 0)
            answer = failed;
        loop.post([this, alive, mine = std::move(*held), waited_enough, answer = std::move(answer)]() mutable {
            if (!*alive)
                return;
            if (answer)
                return mine->done(mine->exchange, std::move(*answer));
            const std::uint64_t number = next_retry_++;
            retries_[number] = loop_.after(waited_enough ? kOutageStep : kProducerStep, [this, mine, number] {
                this->attempt(mine);
                retries_.erase(number);
            });
        });
    });
    if (!taken)
        attempt->exchange->send(unavailable("Too many requests are waiting for the database."));
}

void Gateway::respond(const std::shared_ptr<Exchange> &exchange, bool repeatable,
                      std::function<std::optional<Response>(bool waited_enough)> work) {
    attempt(std::make_shared<Attempt>(
        Attempt{.exchange = exchange,
                .work = std::move(work),
                .done = [](const std::shared_ptr<Exchange> &to, Response response) { to->send(std::move(response)); },
                .repeatable = repeatable}));
}

void Gateway::read(ReadContext &access, const std::shared_ptr<Request> &request, const std::string &stream,
                   const std::shared_ptr<Exchange> &exchange) {
    const auto plan = std::make_shared<std::optional<ReadPlan>>();
    attempt(std::make_shared<Attempt>(
        Attempt{.exchange = exchange,
                .work = [&client = access.client, request, stream, plan](bool) -> std::optional<Response> {
                    auto planned = plan_read(client, stream, *request);
                    if (auto *const response = std::get_if<Response>(&planned))
                        return std::move(*response);
                    plan->emplace(std::get<ReadPlan>(std::move(planned)));
                    return Response();
                },
                .done =
                    [&access, plan](const std::shared_ptr<Exchange> &to, Response response) {
                        if (!*plan)
                            return to->send(std::move(response));
                        if ((*plan)->mode == ReadPlan::Mode::events)
                            follow_events(access, std::move(**plan), to);
                        else
                            read_page(access, std::move(**plan), to);
                    },
                .repeatable = true}));
}

void Gateway::health(const std::shared_ptr<Exchange> &exchange) {
    respond(exchange, false, [&client = accesses_.begin()->second.client](bool) {
        (void) client.exists("health");
        Response response;
        response.with("Content-Type", "text/plain; charset=utf-8").with("Cache-Control", "no-store");
        response.body = "ok\n";
        return response;
    });
}

Response Gateway::metrics() const {
    std::string text = "# TYPE rill_serve_requests_total counter\n";
    for (const auto &[key, count] : answers_)
        text += "rill_serve_requests_total{method=\"" + key.first + "\",status=\"" + std::to_string(key.second) +
                "\"} " + std::to_string(count) + "\n";
    const auto add = [&text](std::string_view name, std::string_view type, std::uint64_t value) {
        text.append("# TYPE ").append(name).append(" ").append(type).append("\n");
        text.append(name).append(" ").append(std::to_string(value)).append("\n");
    };
    std::uint64_t live = 0;
    std::uint64_t events = 0;
    for (const auto &[role, access] : accesses_) {
        live += access.live.size();
        events += access.events_sent;
    }
    add("rill_serve_connections", "gauge", connections_());
    add("rill_serve_live_reads", "gauge", live);
    add("rill_serve_data_events_total", "counter", events);
    Response response;
    response.with("Content-Type", "text/plain; version=0.0.4; charset=utf-8").with("Cache-Control", "no-store");
    response.body = std::move(text);
    return response;
}

}  // namespace rill::serve
