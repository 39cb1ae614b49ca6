// See proxy.hpp.
#include "proxy.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include <arpa/inet.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace rill::test {
namespace {

constexpr int kUnixPort = 5432;

sockaddr_un socket_in(const std::string &directory, const std::string &port) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = directory + "/.s.PGSQL." + port;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    return address;
}

}  // namespace

Proxy::Proxy(const std::string &conninfo, const std::string &address, int port) : original_(conninfo) {
    PGconn *const probe = PQconnectdb(conninfo.c_str());
    REQUIRE(PQstatus(probe) == CONNECTION_OK);
    host_ = PQhost(probe);
    upstream_port_ = PQport(probe);
    PQfinish(probe);
    if (address == "unix")
        listen_in_directory();
    else
        listen_on_loopback(address, port);
    REQUIRE(::listen(listener_, 16) == 0);
    thread_ = std::thread([this] { run(); });
}

void Proxy::listen_in_directory() {
    directory_ = (std::filesystem::temp_directory_path() / "proxy.XXXXXX").string();
    REQUIRE(::mkdtemp(directory_.data()) != nullptr);
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    port_ = kUnixPort;
    const sockaddr_un address = socket_in(directory_, port());
    REQUIRE(::bind(listener_, reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0);
}

void Proxy::listen_on_loopback(const std::string &address_text, int port) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    REQUIRE(::inet_pton(AF_INET, address_text.c_str(), &address.sin_addr) == 1);
    socklen_t size = sizeof address;
    const int on = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    REQUIRE(::bind(listener_, reinterpret_cast<sockaddr *>(&address), size) == 0);
    REQUIRE(::getsockname(listener_, reinterpret_cast<sockaddr *>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
}

Proxy::~Proxy() {
    stop_ = true;
    thread_.join();
    for (const Pair &pair : pairs_) {
        ::close(pair.client);
        if (pair.server >= 0)
            ::close(pair.server);
    }
    ::close(listener_);
    if (!directory_.empty())
        std::filesystem::remove_all(directory_);
}

std::string Proxy::conninfo() const {
    return original_ + " host=" + (directory_.empty() ? "127.0.0.1" : directory_) +
           " hostaddr='' sslmode=disable port=" + port();
}

void Proxy::run() {
    while (!stop_) {
        std::vector<pollfd> fds{{listener_, POLLIN, 0}};
        const bool hole = mode_ == Mode::black_hole;
        for (const Pair &pair : pairs_) {
            fds.push_back({mode_ == Mode::gather ? -1 : pair.client, POLLIN, 0});
            fds.push_back({hole || mode_ == Mode::hold ? -1 : pair.server, POLLIN, 0});
        }
        (void) ::poll(fds.data(), fds.size(), 5);
        const bool cut = cut_.exchange(false);
        if (mode_ == Mode::gather)
            gather();
        for (std::size_t i = 0; i < pairs_.size(); ++i) {
            if (cut)
                pairs_[i].dead = true;
            if (!pairs_[i].dead && fds[1 + 2 * i].revents != 0)
                forward(pairs_[i], true);
            if (!pairs_[i].dead && fds[2 + 2 * i].revents != 0)
                forward(pairs_[i], false);
        }
        if (fds[0].revents != 0)
            accept_one();
        std::erase_if(pairs_, [](const Pair &pair) {
            if (pair.dead) {
                ::close(pair.client);
                if (pair.server >= 0)
                    ::close(pair.server);
            }
            return pair.dead;
        });
    }
}

void Proxy::accept_one() {
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0)
        return;
    ++accepted_;
    switch (mode_.load()) {
    case Mode::refuse:
        ::close(client);
        return;
    case Mode::black_hole:
        pairs_.push_back({client, -1});
        return;
    case Mode::pass:
    case Mode::gather:
    case Mode::hold:
        pairs_.push_back({client, connect_upstream()});
    }
}

void Proxy::gather() {
    const auto available = [](const Pair &pair) {
        int bytes = 0;
        (void) ::ioctl(pair.client, FIONREAD, &bytes);
        return std::int64_t{bytes};
    };
    const std::int64_t let_pass = let_pass_.exchange(0);
    std::int64_t unread = 0;
    for (Pair &pair : pairs_) {
        for (std::int64_t left = let_pass; left > 0 && available(pair) > 0 && !pair.dead;)
            left -= forward(pair, true, static_cast<std::size_t>(left));
        unread += available(pair);
    }
    unread_ = unread;
}

std::int64_t Proxy::forward(Pair &pair, bool to_server, std::size_t at_most) {
    std::array<char, 65536> buffer{};
    const ssize_t got =
        ::recv(to_server ? pair.client : pair.server, buffer.data(), std::min(buffer.size(), at_most), 0);
    if (got <= 0) {
        pair.dead = true;
        return 0;
    }
    if (mode_ == Mode::black_hole || pair.server < 0) {
        swallowed_ += static_cast<std::uint64_t>(got);
        return got;
    }
    auto size = static_cast<std::size_t>(got);
    if (!to_server && budget_ >= 0) {
        const auto left = static_cast<std::size_t>(budget_.load());
        if (size >= left) {
            size = left;
            pair.dead = true;
            budget_ = -1;
        } else {
            budget_ -= got;
        }
    }
    for (std::size_t sent = 0; sent < size;) {
        const ssize_t n =
            ::send(to_server ? pair.server : pair.client, buffer.data() + sent, size - sent, MSG_NOSIGNAL);
        if (n < 0) {
            pair.dead = true;
            break;
        }
        sent += static_cast<std::size_t>(n);
    }
    return got;
}

int Proxy::connect_upstream() const {
    if (host_.starts_with('/')) {
        const sockaddr_un address = socket_in(host_, upstream_port_);
        const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (::connect(fd, reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0)
            return fd;
        ::close(fd);
        return -1;
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(upstream_port_)));
    ::inet_pton(AF_INET, host_ == "localhost" ? "127.0.0.1" : host_.c_str(), &address.sin_addr);
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(fd, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0)
        return fd;
    ::close(fd);
    return -1;
}

}  // namespace rill::test
