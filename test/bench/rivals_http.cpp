// The Durable Streams protocol over HTTP: "serve" is rill serve at BENCH_SERVE (host:port), "reference" the protocol's
// reference server at BENCH_REFERENCE; "serve-read" appends in SQL and follows through rill serve. POST on a connection
// that is kept, Server-Sent Events on another. The streams are there already, as text/plain (serve.py).
//
// get KIND TARGET COUNT: the time of COUNT requests of TARGET, one after the other on one connection. Prints
// microseconds and the length of the body.
//
// Must survive: an answer in pieces of any size, with a length or in chunks; any other status than one of success ends
// the program, so that no figure comes from a refusal.
#include "rivals.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

namespace bench {

namespace {

const char *variable_of(std::string_view kind) {
    return kind == "reference" ? "BENCH_REFERENCE" : kind == "serve" || kind == "serve-read" ? "BENCH_SERVE" : nullptr;
}

class Http {
public:
    explicit Http(std::string_view kind) {
        const char *const variable = variable_of(kind);
        const char *const given = variable != nullptr ? std::getenv(variable) : nullptr;
        host_ = given != nullptr ? given : "";
        const std::size_t colon = host_.rfind(':');
        addrinfo *found = nullptr;
        addrinfo hints{};
        hints.ai_flags = AI_NUMERICHOST;
        hints.ai_socktype = SOCK_STREAM;
        if (colon == std::string::npos ||
            getaddrinfo(host_.substr(0, colon).c_str(), host_.substr(colon + 1).c_str(), &hints, &found) != 0)
            throw std::runtime_error("no address for " + std::string(kind));
        socket_ = socket(found->ai_family, SOCK_STREAM, 0);
        const int connected = connect(socket_, found->ai_addr, found->ai_addrlen);
        freeaddrinfo(found);
        if (connected != 0)
            throw std::runtime_error("connecting to " + host_ + ": " + std::strerror(errno));
        const int on = 1;
        setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    Http(const Http &) = delete;
    Http &operator=(const Http &) = delete;
    ~Http() { close(socket_); }

    /// Sends a request and reads the head of its answer.
    void ask(std::string_view method, std::string_view target, std::string_view body = {}) {
        std::string request(method);
        request.append(" ").append(target).append(" HTTP/1.1\r\nHost: ").append(host_).append("\r\n");
        if (!body.empty())
            request.append("Content-Type: text/plain\r\nContent-Length: ")
                .append(std::to_string(body.size()))
                .append("\r\n");
        request.append("\r\n").append(body);
        for (std::size_t at = 0; at < request.size();) {
            const ssize_t sent = send(socket_, request.data() + at, request.size() - at, MSG_NOSIGNAL);
            if (sent <= 0)
                throw std::runtime_error(std::string("sending: ") + std::strerror(errno));
            at += static_cast<std::size_t>(sent);
        }
        const std::string status(line());
        if (!status.starts_with("HTTP/1.1 2"))
            throw std::runtime_error(std::string(method) + " " + std::string(target) + ": " + status);
        rest_ = status.starts_with("HTTP/1.1 204") ? std::optional<std::size_t>(0) : std::nullopt;
        chunked_ = false;
        for (;;) {
            std::string header(line());
            if (header.empty())
                return;
            std::transform(header.begin(), header.end(), header.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
            if (header.starts_with("content-length:"))
                rest_ = std::stoul(header.substr(15));
            else if (header == "transfer-encoding: chunked")
                chunked_ = true;
        }
    }

    /// The next piece of the body, valid until the next call; empty at its end.
    std::string_view piece() {
        if (chunked_) {
            const std::size_t size = std::stoul(std::string(line()), nullptr, 16);
            const std::string_view data = take(size + 2);
            chunked_ = size != 0;
            rest_ = 0;
            return data.substr(0, size);
        }
        const std::size_t size = rest_.value_or(0);
        rest_ = 0;
        return size == 0 ? std::string_view() : take(size);
    }

    std::size_t skip_body() {
        std::size_t size = 0;
        for (std::string_view data = piece(); !data.empty(); data = piece())
            size += data.size();
        return size;
    }

private:
    std::string_view line() {
        std::size_t end;
        while ((end = buffer_.find("\r\n", at_)) == std::string::npos)
            receive();
        const std::string_view found = std::string_view(buffer_).substr(at_, end - at_);
        at_ = end + 2;
        return found;
    }

    std::string_view take(std::size_t size) {
        while (buffer_.size() - at_ < size)
            receive();
        const std::string_view found = std::string_view(buffer_).substr(at_, size);
        at_ += size;
        return found;
    }

    void receive() {
        buffer_.erase(0, std::exchange(at_, 0));
        char bytes[65536];
        const ssize_t got = recv(socket_, bytes, sizeof bytes, 0);
        if (got <= 0)
            throw std::runtime_error(got == 0 ? "the server has closed the connection" : std::strerror(errno));
        buffer_.append(bytes, static_cast<std::size_t>(got));
    }

    int socket_ = -1;
    std::string host_;
    std::string buffer_;
    std::size_t at_ = 0;
    std::optional<std::size_t> rest_;
    bool chunked_ = false;
};

std::string target_of(int stream) { return "/v1/stream/" + stream_name(stream); }

class HttpWriter : public Writer {
public:
    explicit HttpWriter(std::string_view kind) : http_(kind) {}

    void append(int stream, std::string_view data) override {
        http_.ask("POST", target_of(stream), data);
        http_.skip_body();
    }

private:
    Http http_;
};

class HttpFollower : public Follower {
public:
    HttpFollower(std::string_view kind, int stream) : http_(kind) {
        http_.ask("GET", target_of(stream) + "?offset=now&live=sse");
        while (!event().starts_with("event: control"))
            ;
    }

    std::string_view next() override {
        for (;;) {
            const std::string_view found = event();
            const std::size_t data = found.find("\ndata:");
            if (found.starts_with("event: data") && data != std::string_view::npos)
                return found.substr(data + 6);
        }
    }

private:
    /// Up to its empty line.
    std::string_view event() {
        text_.erase(0, std::exchange(used_, 0));
        std::size_t end;
        while ((end = text_.find("\n\n")) == std::string::npos) {
            const std::string_view data = http_.piece();
            if (data.empty())
                throw std::runtime_error("the events have ended");
            text_.append(data);
        }
        used_ = end + 2;
        return std::string_view(text_).substr(0, end);
    }

    Http http_;
    std::string text_;
    std::size_t used_ = 0;
};

}  // namespace

std::unique_ptr<Writer> http_writer(std::string_view kind) {
    if (kind == "serve-read")
        return make_writer("rill");
    return variable_of(kind) != nullptr ? std::make_unique<HttpWriter>(kind) : nullptr;
}

std::unique_ptr<Follower> http_follower(std::string_view kind, int stream) {
    return variable_of(kind) != nullptr ? std::make_unique<HttpFollower>(kind, stream) : nullptr;
}

int get(const Arguments &arguments) {
    if (arguments.size() != 3)
        throw std::runtime_error("usage: get KIND TARGET COUNT");
    Http http(arguments[0]);
    const int count = std::stoi(arguments[2]);
    std::size_t size = 0;
    std::printf("{\"us\": [");
    for (int i = 0; i < count; ++i) {
        const auto start = Clock::now();
        http.ask("GET", arguments[1]);
        size = http.skip_body();
        std::printf("%s%.1f", i == 0 ? "" : ",", seconds_since(start) * 1e6);
    }
    std::printf("], \"bytes\": %zu}\n", size);
    return 0;
}

}  // namespace bench
