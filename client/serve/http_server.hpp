// The HTTP front: sockets, requests and answers, and the loop's thread.
//
// HTTP/1.1 with keep-alive and pipelining; one request of a connection is handled at a time, the others wait in its
// socket. Why a client cannot hurt others: its header, body and unsent bytes are bounded, every state that it can stay
// in has a deadline, and what it sends while its answer is under way is bounded as well. Many clients together cannot,
// either, without being admitted: the handler judges each by its header, and all bodies have a bound in common. The
// unsent bytes have none: as many clients as may connect, times what each may have.
// Situations it must survive: clients that send nothing, one byte a minute, or no end; clients that read nothing, or
// leave at any moment; no file descriptor left for accept(); a signal at any moment (answers that are under way end).
#pragma once

#include "http.hpp"
#include "line_writer.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace rill::serve {

struct HttpLimits {
    std::size_t header_bytes = 16 * 1024;
    std::size_t body_bytes = std::size_t{16} * 1024 * 1024;
    std::size_t all_bodies = std::size_t{256} * 1024 * 1024;  // of requests that have not ended, as far as it has come
    std::size_t connections = 20'000;
    std::chrono::seconds idle{75};    // between two requests
    std::chrono::seconds header{10};  // from a request's first byte to the end of its header
    std::chrono::seconds body{60};
    std::chrono::seconds write{30};  // for each write, and a second more for each 16 kB
    std::chrono::seconds stop{5};    // for answers that are under way when the server stops
};

class HttpServer {
public:
    // `access_log`, unless it is null, gets a line for each request, and outlives the server.
    explicit HttpServer(const HttpLimits &limits, LineWriter *access_log = nullptr);
    HttpServer(const HttpServer &) = delete;
    HttpServer &operator=(const HttpServer &) = delete;
    ~HttpServer();

    // Throws std::runtime_error when the address cannot be used. Port 0 is any; returns the one in use.
    std::uint16_t listen(const std::string &host, std::uint16_t port);
    [[nodiscard]] Loop &loop();

    // Runs the loop on this thread until SIGINT or SIGTERM, and `stopping` is called then: it ends what would not end
    // by itself. Returns the signal. The handler outlives the call.
    int run(Handler &handler, std::function<void()> stopping);

    [[nodiscard]] std::size_t connections() const;

private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace rill::serve
