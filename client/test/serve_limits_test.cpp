// The limits of rill serve's connections, each with a client that tries to get around it: limits of a second, and a
// handler without a database. test/integration/serve.py tries those that the command has options for.
#include "http_server.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <doctest/doctest.h>

namespace {

using namespace rill::serve;
using namespace std::chrono_literals;

bool wait_until(const std::function<bool()> &condition) {
    const auto end = std::chrono::steady_clock::now() + 30s;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end)
            return false;
        std::this_thread::sleep_for(10ms);
    }
    return true;
}

// Answers everything with "ok", but /endless with a stream that is as long as the client reads it.
class Endless : public Handler {
public:
    std::optional<Response> admit(Request &) override { return std::nullopt; }
    void handle(Request request, std::shared_ptr<Exchange> exchange) override {
        ++handled;
        if (request.path != "/endless") {
            Response response;
            response.body = "ok";
            return exchange->send(std::move(response));
        }
        exchange->start(Response());
        const auto more = [raw = exchange.get()] { raw->write(std::string(65'536, 'x')); };
        exchange->notify(more, [this, exchange] { ++gone; });
        more();
    }

    std::atomic<int> handled = 0;
    std::atomic<int> gone = 0;
};

class Client {
public:
    explicit Client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
        const int small = 4096;
        (void) ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(::connect(fd_, reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0);
    }
    Client(const Client &) = delete;
    Client &operator=(const Client &) = delete;
    ~Client() { ::close(fd_); }

    void send(std::string_view text) { (void) ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL); }
    // Whether the server has ended the connection; what has come until then is in `answer`.
    bool closed() {
        std::array<char, 4096> buffer{};
        for (;;) {
            const ssize_t size = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
            if (size <= 0)
                return size == 0 || (errno != EAGAIN && errno != EINTR);
            answer.append(buffer.data(), static_cast<std::size_t>(size));
        }
    }
    bool answered() {
        send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        return wait_until([this] { return closed() || answer.ends_with("ok"); }) && answer.ends_with("ok");
    }

    std::string answer;

private:
    int fd_;
};

class Server {
public:
    explicit Server(const HttpLimits &limits) {
        REQUIRE(::pipe(log_.data()) == 0);
        writer_.emplace(log_[1]);
        server_.emplace(limits, &*writer_);
        port = server_->listen("127.0.0.1", 0);
        thread_ = std::thread([this] { server_->run(handler, [] {}); });
    }
    Server(const Server &) = delete;
    Server &operator=(const Server &) = delete;
    ~Server() { (void) stop(); }

    // Returns the access log.
    std::string stop() {
        if (!thread_.joinable())
            return "";
        // A signal that comes before the loop waits for it would end the test. An answer shows that it does.
        REQUIRE(wait_until([this] { return Client(port).answered(); }));
        ::kill(::getpid(), SIGTERM);
        thread_.join();
        server_.reset();
        writer_.reset();
        ::close(log_[1]);
        std::string text;
        std::array<char, 4096> buffer{};
        for (ssize_t size = 0; (size = ::read(log_[0], buffer.data(), buffer.size())) > 0;)
            text.append(buffer.data(), static_cast<std::size_t>(size));
        ::close(log_[0]);
        return text;
    }

    Endless handler;
    std::uint16_t port = 0;

private:
    std::array<int, 2> log_{};
    std::optional<LineWriter> writer_;
    std::optional<HttpServer> server_;
    std::thread thread_;
};

TEST_CASE("serve: one connection too many is closed, and there is room again when another has ended") {
    Server server({.connections = 2});
    auto first = std::make_unique<Client>(server.port);
    Client second(server.port);
    CHECK(first->answered());
    CHECK(second.answered());
    Client third(server.port);
    third.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    CHECK(wait_until([&] { return third.closed(); }));
    CHECK(third.answer.empty());
    second.answer.clear();
    CHECK(second.answered());
    first.reset();
    CHECK(wait_until([&] { return Client(server.port).answered(); }));
}

// The other times of each server are too long to be what closes the connection.

TEST_CASE("serve: a client that sends nothing, before its first request or behind it, has so much time and no more") {
    Server server({.idle = 1s});
    Client silent(server.port);
    Client between(server.port);
    CHECK(between.answered());
    CHECK(wait_until([&] { return silent.closed(); }));
    CHECK(wait_until([&] { return between.closed(); }));
    CHECK(Client(server.port).answered());
}

TEST_CASE("serve: a client that sends its header byte by byte has so much time and no more") {
    Server server({.header = 1s});
    Client slow(server.port);
    slow.send("GET / HTTP/1.1\r\nHost: localhost\r\nX: ");
    CHECK(wait_until([&] {
        slow.send("x");  // it is never silent
        return slow.closed();
    }));
    CHECK(slow.answer.empty());
    CHECK(server.handler.handled == 0);
    CHECK(Client(server.port).answered());
}

TEST_CASE("serve: a client that stops sending its body, or sends it byte by byte, has so much time and no more") {
    Server server({.header = 300s, .body = 1s});
    Client stopped(server.port);
    stopped.send("PUT /stopped HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nx");
    Client slow(server.port);
    slow.send("PUT /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n");
    CHECK(wait_until([&] {
        slow.send("x");
        return slow.closed();
    }));
    CHECK(wait_until([&] { return stopped.closed(); }));
    CHECK(server.handler.handled == 0);
    CHECK(Client(server.port).answered());
    // They are in the access log although they had no answer.
    const std::string log = server.stop();
    CHECK(log.find(" 127.0.0.1 - PUT /stopped - 0 ") != std::string::npos);
    CHECK(log.find(" 127.0.0.1 - PUT /slow - 0 ") != std::string::npos);
}

TEST_CASE("serve: a client that stops reading is closed, and what answers it is told") {
    Server server({.write = 1s});
    Client stopped(server.port);
    stopped.send("GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n");
    CHECK(wait_until([&] { return server.handler.gone == 1; }));
    CHECK(Client(server.port).answered());
    const std::string log = server.stop();
    CHECK(log.find(" GET /endless 200 ") != std::string::npos);
    CHECK(log.find(" GET /endless 200 0 ") == std::string::npos);
}

}  // namespace
