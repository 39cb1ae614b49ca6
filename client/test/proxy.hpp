// A TCP proxy on loopback between a client and the server, which can be made to misbehave: to carry nothing while
// everything looks alive (a black hole, a half-open connection), to refuse, to cut connections.
// Thread-safety: all methods from any thread; one thread of its own moves the bytes.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace rill::test {

class Proxy {
public:
    enum class Mode {
        pass,
        black_hole,  // connections are accepted and kept, nothing is carried
        refuse,      // connections are closed as soon as they come
        gather,      // what clients send is kept back, and carried all at once when the mode changes
    };

    // In front of the server of this connection string (its host may be a socket directory). `address` is an IPv4
    // one on loopback; `port` 0 chooses.
    explicit Proxy(const std::string &conninfo, const std::string &address = "127.0.0.1", int port = 0);
    Proxy(const Proxy &) = delete;
    Proxy &operator=(const Proxy &) = delete;
    ~Proxy();

    // `conninfo` with the proxy for its server.
    [[nodiscard]] std::string conninfo() const;
    [[nodiscard]] std::string port() const { return std::to_string(port_); }

    void set(Mode mode) { mode_ = mode; }
    // Cuts every connection there is.
    void cut() { cut_ = true; }
    // Carries so many more bytes from the server, then cuts: in the middle of whatever is under way.
    void cut_after(std::int64_t bytes) { budget_ = bytes; }

    [[nodiscard]] std::uint64_t accepted() const { return accepted_; }
    // Bytes that came from clients and were thrown away.
    [[nodiscard]] std::uint64_t swallowed() const { return swallowed_; }

private:
    struct Pair {
        int client;
        int server;
        bool dead = false;
    };

    void run();
    void accept_one();
    void carry(Pair &pair, bool to_server);
    [[nodiscard]] int connect_upstream() const;

    std::string original_;
    std::string host_;
    std::string upstream_port_;
    int listener_ = -1;
    int port_ = 0;
    std::vector<Pair> pairs_;  // the thread's
    std::atomic<Mode> mode_{Mode::pass};
    std::atomic<bool> cut_{false};
    std::atomic<bool> stop_{false};
    std::atomic<std::int64_t> budget_{-1};
    std::atomic<std::uint64_t> accepted_{0};
    std::atomic<std::uint64_t> swallowed_{0};
    std::thread thread_;
};

}  // namespace rill::test
