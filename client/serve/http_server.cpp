// See http_server.hpp. Everything here runs on the loop's thread but Loop::post().
#include "http_server.hpp"

#include "http_connection.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <stdexcept>
#include <utility>
#include <vector>

namespace rill::serve {

using namespace detail;

namespace {

class AsioLoop : public Loop {
public:
    explicit AsioLoop(asio::io_context &context) : context_(context) {}

    void post(std::function<void()> work) override { asio::post(context_, std::move(work)); }

    Timer after(std::chrono::milliseconds delay, std::function<void()> work) override {
        // A steady_timer counts nanoseconds: a delay of centuries would overflow, and be over at once.
        constexpr std::chrono::milliseconds kLongest = std::chrono::hours(24 * 365);
        auto timer = std::make_shared<asio::steady_timer>(context_, std::min(delay, kLongest));
        // Destroying the timer cancels, but a handler that is queued already would run: it checks that it is wanted.
        timer->async_wait([weak = std::weak_ptr(timer), work = std::move(work)](const error_code &error) {
            if (!error && !weak.expired())
                work();
        });
        return timer;
    }

private:
    asio::io_context &context_;
};

}  // namespace

class HttpServer::Impl {
public:
    Impl(const HttpLimits &limits, LineWriter *access_log) : shared_(std::make_shared<Shared>()) {
        shared_->limits = limits;
        shared_->access_log = access_log;
    }

    std::uint16_t listen(const std::string &host, std::uint16_t port) {
        try {
            tcp::resolver resolver(context_);
            const auto found = resolver.resolve(host, std::to_string(port), tcp::resolver::passive);
            const tcp::endpoint endpoint = found.begin()->endpoint();
            acceptor_.open(endpoint.protocol());
            acceptor_.set_option(tcp::acceptor::reuse_address(true));
            acceptor_.bind(endpoint);
            acceptor_.listen();
            return acceptor_.local_endpoint().port();
        } catch (const boost::system::system_error &error) {
            throw std::runtime_error("cannot listen on " + host + " port " + std::to_string(port) + ": " +
                                     error.code().message());
        }
    }

    int run(Handler &handler, std::function<void()> stopping) {
        shared_->handler = &handler;
        int caught = 0;
        asio::signal_set signals(context_, SIGINT, SIGTERM);
        asio::steady_timer last_moment(context_);
        signals.async_wait([&](const error_code &error, int signal) {
            if (error)
                return;
            caught = signal;
            stop();
            stopping();
            last_moment.expires_after(shared_->limits.stop);
            last_moment.async_wait([&](const error_code &) { context_.stop(); });
            wait_for_end(last_moment);
        });
        accept();
        context_.run();
        // Handlers and what they own end now, while what they refer to is there.
        for (const auto &connection : all_connections())
            connection->close();
        context_.restart();
        context_.poll();
        shared_->ended = true;
        shared_->handler = nullptr;
        return caught;
    }

    AsioLoop &loop() { return loop_; }
    [[nodiscard]] std::size_t connections() const { return shared_->connections.size(); }

private:
    void accept() {
        acceptor_.async_accept([this](const error_code &error, tcp::socket socket) {
            if (error == asio::error::operation_aborted || shared_->stopping)
                return;
            if (error) {
                // No file descriptor, or no memory: others may give some back.
                retry_.expires_after(std::chrono::milliseconds(100));
                return retry_.async_wait([this](const error_code &cancelled) {
                    if (!cancelled)
                        accept();
                });
            }
            // A connection too many is closed at once: answering it would cost what there is too little of.
            if (shared_->connections.size() < shared_->limits.connections) {
                error_code ignored;
                (void) socket.set_option(tcp::no_delay(true), ignored);
                std::make_shared<Connection>(std::move(socket), shared_)->read_request();
            }
            accept();
        });
    }

    void stop() {
        shared_->stopping = true;
        error_code ignored;
        (void) acceptor_.close(ignored);
        retry_.cancel();
        for (const auto &connection : all_connections())
            connection->stop();
    }

    // A copy: one that ends takes itself out of the set. One whose last owner is just going is left out.
    [[nodiscard]] std::vector<std::shared_ptr<Connection>> all_connections() const {
        std::vector<std::shared_ptr<Connection>> all;
        for (Connection *const connection : shared_->connections)
            if (auto shared = connection->weak_from_this().lock())
                all.push_back(std::move(shared));
        return all;
    }

    void wait_for_end(asio::steady_timer &last_moment) {
        if (shared_->connections.empty())
            last_moment.cancel();  // which stops the loop
        check_.expires_after(std::chrono::milliseconds(20));
        check_.async_wait([this, &last_moment](const error_code &error) {
            if (!error)
                wait_for_end(last_moment);
        });
    }

    std::shared_ptr<Shared> shared_;
    asio::io_context context_{1};
    AsioLoop loop_{context_};
    tcp::acceptor acceptor_{context_};
    asio::steady_timer retry_{context_};
    asio::steady_timer check_{context_};
};

HttpServer::HttpServer(const HttpLimits &limits, LineWriter *access_log)
    : impl_(std::make_shared<Impl>(limits, access_log)) {}
HttpServer::~HttpServer() = default;
std::uint16_t HttpServer::listen(const std::string &host, std::uint16_t port) { return impl_->listen(host, port); }
Loop &HttpServer::loop() { return impl_->loop(); }
int HttpServer::run(Handler &handler, std::function<void()> stopping) {
    return impl_->run(handler, std::move(stopping));
}
std::size_t HttpServer::connections() const { return impl_->connections(); }

}  // namespace rill::serve
