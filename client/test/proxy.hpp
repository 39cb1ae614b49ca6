// A proxy between a client and the server that can be made to misbehave: to forward nothing while
// everything looks alive (a black hole, a half-open connection), to refuse, to cut connections.
// Thread-safety: all methods from any thread; a thread of its own moves the bytes.
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
        black_hole,  // connections are accepted and kept, nothing is forwarded
        refuse,      // connections are closed as soon as they are accepted
        gather,      // what clients send is not read, but for let_pass(); all is forwarded when the mode changes
        hold,        // the same for what the server sends
    };

    // In front of the server of this connection string (its host may be a socket directory). `address` is an IPv4
    // one on loopback, where `port` 0 chooses, or "unix": a socket in a new directory.
    explicit Proxy(const std::string &conninfo, const std::string &address = "127.0.0.1", int port = 0);
    Proxy(const Proxy &) = delete;
    Proxy &operator=(const Proxy &) = delete;
    ~Proxy();

    // The connection string with the proxy in place of the server.
    [[nodiscard]] std::string conninfo() const;
    [[nodiscard]] std::string port() const { return std::to_string(port_); }

    void set(Mode mode) {
        unread_ = 0;
        mode_ = mode;
    }
    // Cuts every connection.
    void cut() { cut_ = true; }
    // While gathering, forwards so many bytes from each client.
    void let_pass(std::int64_t bytes) { let_pass_ = bytes; }
    // While gathering: what the clients have sent that is not read.
    [[nodiscard]] std::int64_t unread() const { return unread_; }
    // Forwards so many more bytes from the server, then cuts, in the middle of whatever is under way.
    void cut_after(std::int64_t bytes) { budget_ = bytes; }

    [[nodiscard]] std::uint64_t accepted() const { return accepted_; }
    // Bytes from clients that were thrown away.
    [[nodiscard]] std::uint64_t swallowed() const { return swallowed_; }

private:
    struct Pair {
        int client;
        int server;
        bool dead = false;
    };

    void listen_on_loopback(const std::string &address, int port);
    void listen_in_directory();
    void run();
    void accept_one();
    void gather();
    // Returns how much was read.
    std::int64_t forward(Pair &pair, bool to_server, std::size_t at_most = 65536);
    [[nodiscard]] int connect_upstream() const;

    std::string original_;
    std::string directory_;  // of the Unix-domain socket, if it is one
    std::string host_;
    std::string upstream_port_;
    int listener_ = -1;
    int port_ = 0;
    std::vector<Pair> pairs_;  // the thread's
    std::atomic<Mode> mode_{Mode::pass};
    std::atomic<bool> cut_{false};
    std::atomic<bool> stop_{false};
    std::atomic<std::int64_t> budget_{-1};
    std::atomic<std::int64_t> let_pass_{0};
    std::atomic<std::int64_t> unread_{0};
    std::atomic<std::uint64_t> accepted_{0};
    std::atomic<std::uint64_t> swallowed_{0};
    std::thread thread_;
};

}  // namespace rill::test
