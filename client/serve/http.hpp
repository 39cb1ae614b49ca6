// A request, and the answer to it, as the handlers see them: nothing here knows of Beast or sockets, so that handlers
// compile without them and can be tested without a server.
//
// Thread-safety: plain values; an Exchange is used on the loop's thread alone.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rill::serve {

using Header = std::pair<std::string, std::string>;

struct Request {
    std::string method;
    std::string path;             // still percent-encoded
    std::string query;            // behind the question mark
    std::vector<Header> headers;  // names in lower case
    std::string body;
    std::shared_ptr<void> body_memory{};  // counts as long as this request is there; see body_claim.hpp
    std::optional<std::string> role{};    // whose rights it has; Handler::admit() sets it

    // The value of the first header of this name, which is in lower case.
    [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const {
        for (const auto &[key, value] : headers)
            if (key == name)
                return value;
        return std::nullopt;
    }
};

struct Response {
    int status = 200;
    std::vector<Header> headers{};
    std::string body{};

    [[nodiscard]] bool has(std::string_view name) const {
        return std::ranges::any_of(headers, [name](const Header &header) { return header.first == name; });
    }
    Response &with(std::string name, std::string value) {
        headers.emplace_back(std::move(name), std::move(value));
        return *this;
    }
};

// A refusal in one line of text.
[[nodiscard]] inline Response refusal(int status, std::string_view why) {
    Response response{.status = status};
    response.with("Content-Type", "text/plain; charset=utf-8").with("Cache-Control", "no-store");
    response.body.append(why).append("\n");
    return response;
}

// The same request may succeed later.
[[nodiscard]] inline Response unavailable(std::string_view why) {
    Response response = refusal(503, why);
    response.with("Retry-After", "1");
    return response;
}

// How one request is answered: by send(), or by start(), any number of write() and finish(). When the client has gone,
// all of them do nothing.
class Exchange {
public:
    virtual ~Exchange() = default;

    virtual void send(Response response) = 0;
    // The body is of a length that is not known yet; response.body is not used.
    virtual void start(Response head) = 0;
    virtual void write(std::string part) = 0;
    virtual void finish() = 0;
    // Bytes that were written and have not left yet. A handler stops reading from its stream while there are many.
    [[nodiscard]] virtual std::size_t unsent() const = 0;

    // Called when everything written has left, and when the client has gone. Replaced by empty functions when the
    // exchange ends, so that what they own is free then.
    virtual void notify(std::function<void()> drained, std::function<void()> gone) = 0;
};

// What is done with requests. On the loop's thread.
class Handler {
public:
    virtual ~Handler() = default;

    // Judges a request by its head, before anything of its body is read, and sets its role. An answer is a refusal.
    [[nodiscard]] virtual std::optional<Response> admit(Request &head) = 0;
    // Of a request that was admitted.
    virtual void handle(Request request, std::shared_ptr<Exchange> exchange) = 0;
};

// Cancels the call when it is destroyed.
using Timer = std::shared_ptr<void>;

// The one thread on which everything runs that does not block.
class Loop {
public:
    virtual ~Loop() = default;

    // From any thread.
    virtual void post(std::function<void()> work) = 0;
    // On the loop's thread. A delay of more than a year is a year.
    [[nodiscard]] virtual Timer after(std::chrono::milliseconds delay, std::function<void()> work) = 0;
};

}  // namespace rill::serve
