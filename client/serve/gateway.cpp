// See gateway.hpp.
#include "gateway.hpp"

#include "calls.hpp"
#include "failures.hpp"
#include "fields.hpp"
#include "page.hpp"
#include "touches.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace rill::serve {
namespace {

constexpr std::string_view kStreams = "/v1/stream/";
constexpr std::string_view kHealth = "/health";
constexpr std::string_view kPage = "/";
constexpr std::string_view kSubscriptions = "__ds/";

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

bool is_address(std::string_view name) {
    return name.starts_with('[') || (!name.empty() && name.find_first_not_of("0123456789.") == std::string_view::npos);
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
    : tokens_(std::move(tokens)), options_(options), connections_(std::move(connections)),
      attempts_(loop, options.attempts), health_attempts_(loop,
                                                          [&options] {
                                                              AttemptOptions one = options.attempts;
                                                              one.threads = 1;
                                                              return one;
                                                          }()),
      touch_threads_(options.touch_threads) {
    for (const auto &[role, client] : clients) {
        auto touch = [this, &loop, &its_client = *client,
                      touches = std::make_shared<Touches>()](const std::string &stream, std::int64_t ttl) {
            if (!touches->begin(stream, ttl, std::chrono::steady_clock::now()))
                return;
            touch_threads_.run([&loop, &its_client, touches, stream] {
                (void) guarded([&] {
                    (void) its_client.touch(stream);
                    return Response();
                });
                loop.post([touches, stream] { touches->end(stream); });
            });
        };
        accesses_.try_emplace(role, loop, *client, options.reads, std::move(touch));
    }
}

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
    const std::string_view host = head.header("host").value_or("localhost");
    const bool named = may_be_named(options_.origins, host) || (!options_.loopback && is_address(host_name(host)));
    if ((options_.loopback || !tokens_) && !named)
        return refusal(421, "This server has another name (see rill serve --cors).");
    // By its method, too: what reads has no body.
    const bool reading = head.method == "GET" || head.method == "HEAD";
    const bool open = head.method == "OPTIONS" || (reading && (head.path == kHealth || head.path == kPage));
    if (!open && !head.role)
        return refusal(401, "This server needs a token.").with("WWW-Authenticate", "Bearer");
    return std::nullopt;
}

std::optional<Response> Gateway::admit(Request &head) {
    head.role = role_of(head);
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
    ReadContext &access = accesses_.at(request->role.value());
    Client &client = access.client;
    if (request->path == "/metrics")
        return exchange->send(reading ? metrics() : refusal(405, "Use GET.").with("Allow", "GET, HEAD"));
    if (request->path == "/streams") {
        if (!reading)
            return exchange->send(refusal(405, "Use GET.").with("Allow", "GET, HEAD"));
        return attempts_.begin({.exchange = exchange,
                                .work = [&client, request](bool) { return list_streams(client, *request); },
                                .repeatable = true});
    }
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
    Attempt attempt{.exchange = exchange};
    if (method == "POST") {
        attempt.work = [&client, request, stream](bool waited_enough) {
            return append_to_stream(client, stream, *request, waited_enough);
        };
        attempt.repeatable = request->header("producer-id").has_value();
        attempt.writes_to = stream;
    } else if (method == "PUT") {
        attempt.work = [&client, request, stream](bool) {
            return create_stream(client, stream, *request, url_of(*request));
        };
        attempt.repeatable = true;
        attempt.writes_to = stream;
    } else if (method == "HEAD") {
        attempt.work = [&client, stream](bool) { return describe_stream(client, stream); };
        attempt.repeatable = true;
    } else if (method == "DELETE") {
        attempt.work = [&client, stream](bool) { return delete_stream(client, stream); };
        attempt.writes_to = stream;
    } else {
        return exchange->send(
            refusal(405, "There is no such method here.").with("Allow", "GET, HEAD, PUT, POST, DELETE, OPTIONS"));
    }
    attempts_.begin(std::move(attempt));
}

void Gateway::read(ReadContext &access, const std::shared_ptr<Request> &request, const std::string &stream,
                   const std::shared_ptr<Exchange> &exchange) {
    const auto plan = std::make_shared<std::optional<ReadPlan>>();
    attempts_.begin({.exchange = exchange,
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
                             // Beside the read: it waits for locks, and cannot be made on a standby.
                             if ((*plan)->ttl)
                                 access.touch((*plan)->stream, *(*plan)->ttl);
                             if ((*plan)->answer)
                                 to->send(std::move(*(*plan)->answer));
                             else if ((*plan)->mode == ReadPlan::Mode::events)
                                 follow_events(access, std::move(**plan), to);
                             else
                                 read_page(access, std::move(**plan), to);
                         },
                     .repeatable = true});
}

void Gateway::health(const std::shared_ptr<Exchange> &exchange) {
    health_asked_.push_back(exchange);
    if (health_asked_.size() > 1)
        return;
    health_attempts_.begin(
        {.exchange = exchange,
         .work =
             [&client = accesses_.begin()->second.client](bool) {
                 (void) client.exists("health");
                 Response response;
                 response.with("Content-Type", "text/plain; charset=utf-8").with("Cache-Control", "no-store");
                 response.body = "ok\n";
                 return response;
             },
         .done =
             [this](const std::shared_ptr<Exchange> &, const Response &response) {
                 for (const auto &asked : std::exchange(health_asked_, {}))
                     asked->send(response);
             }});
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
    if (options_.dropped_lines)
        add("rill_serve_log_lines_dropped_total", "counter", options_.dropped_lines());
    Response response;
    response.with("Content-Type", "text/plain; version=0.0.4; charset=utf-8").with("Cache-Control", "no-store");
    response.body = std::move(text);
    return response;
}

}  // namespace rill::serve
