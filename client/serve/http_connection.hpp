// One connection of the HTTP front: its requests, one after the other, and the answers to them. For http_server.cpp
// alone, which compiles Beast.
//
// A connection lives as long as an operation on its socket is under way or a handler has its Exchange. Its states: idle
// (between requests), reading a header, reading a body, with the handler, sending, lingering. Each of them but "with
// the handler" has a deadline; there, the socket is watched when the handler wants to know that the client has gone.
#pragma once

#include "http.hpp"
#include "http_server.hpp"

#include <algorithm>
#include <deque>
#include <unordered_set>
#include <utility>

#include <boost/asio.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/optional.hpp>

namespace rill::serve::detail {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;

class Connection;

struct Shared {
    HttpLimits limits;
    Handler handler;
    std::unordered_set<Connection *> connections;
    bool stopping = false;
    bool ended = false;  // the loop runs no more
};

// Ends with the request; the connection goes on.
class ConnectionExchange : public Exchange {
public:
    explicit ConnectionExchange(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}
    ~ConnectionExchange() override;
    void send(Response response) override;
    void start(Response head) override;
    void write(std::string part) override;
    void finish() override;
    [[nodiscard]] std::size_t unsent() const override;
    void notify(std::function<void()> drained, std::function<void()> gone) override;

private:
    std::shared_ptr<Connection> connection_;  // null when this exchange has ended
};

class Connection : public std::enable_shared_from_this<Connection> {
public:
    Connection(tcp::socket socket, std::shared_ptr<Shared> shared)
        : socket_(std::move(socket)), deadline_(socket_.get_executor()), shared_(std::move(shared)) {
        shared_->connections.insert(this);
    }
    Connection(const Connection &) = delete;
    Connection &operator=(const Connection &) = delete;
    ~Connection() { shared_->connections.erase(this); }

    void read_request() {
        if (shared_->stopping)
            return close();
        parser_.emplace();
        parser_->header_limit(static_cast<std::uint32_t>(shared_->limits.header_bytes));
        parser_->body_limit(shared_->limits.body_bytes);
        idle_ = buffer_.size() == 0;
        if (!idle_)
            return read_header();
        set_deadline(shared_->limits.idle);
        socket_.async_wait(tcp::socket::wait_read, [self = shared_from_this()](const error_code &error) {
            if (error)
                return self->close();
            self->read_header();
        });
    }

    // An idle connection is closed when the server stops; an answer under way ends first.
    void stop() {
        if (idle_)
            close();
    }

    void close() {
        error_code ignored;
        deadline_.cancel();
        (void) socket_.shutdown(tcp::socket::shutdown_both, ignored);
        (void) socket_.close(ignored);
        idle_ = false;
        queue_.clear();
        unsent_ = 0;
        gone_ = true;
        const auto gone = std::exchange(on_gone_, nullptr);
        on_drained_ = nullptr;
        if (gone)
            gone();
    }

    void send(Response response) {
        if (gone_)
            return;
        auto message = std::make_shared<http::response<http::string_body>>();
        fill(*message, response);
        if (response.status != 204 && response.status != 304) {
            if (!is_head_)
                message->body() = std::move(response.body);
            if (!is_head_ || response.status != 200)
                message->content_length(message->body().size());
        }
        streaming_ = false;
        set_deadline(write_time(message->body().size()));
        http::async_write(socket_, *message,
                          [self = shared_from_this(), message](const error_code &error, std::size_t) {
                              if (error)
                                  return self->close();
                              self->answered();
                          });
    }

    void start(Response head) {
        if (gone_)
            return;
        head_ = std::make_shared<http::response<http::empty_body>>();
        chunked_ = version_ >= 11;
        if (!chunked_)
            keep_alive_ = false;
        fill(*head_, head);
        if (chunked_)
            head_->chunked(true);
        streaming_ = true;
        auto serializer = std::make_shared<http::response_serializer<http::empty_body>>(*head_);
        writing_ = true;
        set_deadline(shared_->limits.write);
        http::async_write_header(
            socket_, *serializer,
            [self = shared_from_this(), serializer](const error_code &error, std::size_t) { self->written(error, 0); });
    }

    void write(std::string part) {
        if (gone_ || part.empty())
            return;
        unsent_ += part.size();
        queue_.push_back(std::move(part));
        write_next();
    }

    void finish() {
        if (gone_)
            return;
        finishing_ = true;
        write_next();
    }

    [[nodiscard]] std::size_t unsent() const { return unsent_; }

    void notify(std::function<void()> drained, std::function<void()> gone) {
        if (gone_) {
            if (gone)
                asio::post(socket_.get_executor(), std::move(gone));
            return;
        }
        on_drained_ = std::move(drained);
        on_gone_ = std::move(gone);
        watch();
    }

private:
    friend class ConnectionExchange;

    void read_header() {
        idle_ = false;
        set_deadline(shared_->limits.header);
        http::async_read_header(socket_, buffer_, *parser_,
                                [self = shared_from_this()](const error_code &error, std::size_t) {
                                    if (error)
                                        return self->refuse(error);
                                    const auto length = self->parser_->content_length();
                                    if (length && *length > self->shared_->limits.body_bytes)
                                        return self->refuse(http::error::body_limit);
                                    if (beast::iequals(self->parser_->get()[http::field::expect], "100-continue"))
                                        return self->send_continue();
                                    self->read_body();
                                });
    }

    void send_continue() {
        static const std::string kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
        asio::async_write(socket_, asio::buffer(kContinue),
                          [self = shared_from_this()](const error_code &error, std::size_t) {
                              if (error)
                                  return self->close();
                              self->read_body();
                          });
    }

    void read_body() {
        set_deadline(shared_->limits.body);
        http::async_read(socket_, buffer_, *parser_, [self = shared_from_this()](const error_code &error, std::size_t) {
            if (error)
                return self->refuse(error);
            self->handle();
        });
    }

    // What cannot be read is answered if it can be, and the connection ends: where the next request begins is unknown.
    void refuse(const error_code &error) {
        is_head_ = false;
        version_ = 11;
        keep_alive_ = false;
        if (error == http::error::body_limit)
            return send(refusal(413, "The body is larger than this server accepts."));
        if (error == http::error::header_limit || error == http::error::buffer_overflow)
            return send(refusal(431, "The header is larger than this server accepts."));
        if (error == http::error::end_of_stream || error == http::error::partial_message ||
            error.category() != make_error_code(http::error::bad_method).category())
            return close();
        send(refusal(400, "This is not a request of HTTP/1.1."));
    }

    void handle() {
        deadline_.cancel();
        auto message = parser_->release();
        parser_.reset();
        Request request;
        request.method = std::string(message.method_string());
        const std::string_view target(message.target().data(), message.target().size());
        const std::size_t mark = std::min(target.find('?'), target.size());
        request.path = std::string(target.substr(0, mark));
        request.query = std::string(target.substr(std::min(mark + 1, target.size())));
        for (const auto &field : message) {
            std::string name(field.name_string());
            std::ranges::transform(name, name.begin(),
                                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
            request.headers.emplace_back(std::move(name), std::string(field.value()));
        }
        request.body = std::move(message.body());
        is_head_ = request.method == "HEAD";
        version_ = message.version();
        keep_alive_ = message.keep_alive();
        finishing_ = false;
        shared_->handler(std::move(request), std::make_shared<ConnectionExchange>(shared_from_this()));
    }

    template <typename Message>
    void fill(Message &message, const Response &response) {
        message.version(version_);
        message.result(static_cast<unsigned>(response.status));
        for (const auto &[name, value] : response.headers)
            message.insert(name, value);
        message.keep_alive(keep_alive_ && !shared_->stopping);
        if (shared_->stopping)
            keep_alive_ = false;
    }

    // A large body may take a slow line as long as it moves at all: 16 kB/s.
    [[nodiscard]] std::chrono::seconds write_time(std::size_t bytes) const {
        return shared_->limits.write + std::chrono::seconds(bytes / 16'384);
    }

    void write_next() {
        if (writing_ || gone_)
            return;
        if (queue_.empty()) {
            if (finishing_)
                finish_body();
            return;
        }
        writing_ = true;
        auto part = std::make_shared<std::string>();
        // Many small parts leave together.
        while (!queue_.empty() && part->size() < 65'536) {
            part->append(queue_.front());
            queue_.pop_front();
        }
        const std::size_t size = part->size();
        set_deadline(write_time(size));
        const auto done = [self = shared_from_this(), part, size](const error_code &error, std::size_t) {
            self->written(error, size);
        };
        if (chunked_)
            asio::async_write(socket_, http::make_chunk(asio::buffer(*part)), done);
        else
            asio::async_write(socket_, asio::buffer(*part), done);
    }

    void written(const error_code &error, std::size_t size) {
        writing_ = false;
        if (error)
            return close();
        unsent_ -= std::min(size, unsent_);
        deadline_.cancel();
        if (queue_.empty() && !finishing_ && on_drained_) {
            const auto drained = on_drained_;  // it may replace itself
            drained();
        }
        write_next();
    }

    void finish_body() {
        if (!chunked_)
            return answered();
        writing_ = true;
        set_deadline(shared_->limits.write);
        asio::async_write(socket_, http::make_chunk_last(),
                          [self = shared_from_this()](const error_code &error, std::size_t) {
                              self->writing_ = false;
                              if (error)
                                  return self->close();
                              self->answered();
                          });
    }

    void answered() {
        deadline_.cancel();
        on_drained_ = nullptr;
        on_gone_ = nullptr;
        if (!keep_alive_)
            return linger();
        if (!watching_)
            return read_request();
        // The wait for the client's leaving ends first.
        then_read_ = true;
        socket_.cancel();
    }

    // Closing a socket with unread bytes resets it, and the client may lose the answer: read a little more first.
    void linger() {
        error_code ignored;
        (void) socket_.shutdown(tcp::socket::shutdown_send, ignored);
        set_deadline(std::chrono::seconds(2));
        if (watching_) {
            then_linger_ = true;
            return socket_.cancel();
        }
        drain();
    }

    void drain() {
        buffer_.clear();
        socket_.async_read_some(buffer_.prepare(16'384),
                                [self = shared_from_this()](const error_code &error, std::size_t) {
                                    if (error || (self->lingered_ += 16'384) > 4 * 1024 * 1024)
                                        return self->close();
                                    self->drain();
                                });
    }

    // While a handler waits, reads what the client sends, to learn when it leaves. Pipelined requests are kept.
    void watch() {
        if (watching_ || gone_ || buffer_.size() >= shared_->limits.header_bytes)
            return;
        watching_ = true;
        socket_.async_read_some(
            buffer_.prepare(1024), [self = shared_from_this()](const error_code &error, std::size_t size) {
                self->watching_ = false;
                if (!error)
                    self->buffer_.commit(size);
                if (std::exchange(self->then_linger_, false))
                    return self->drain();
                if (std::exchange(self->then_read_, false) && (!error || error == asio::error::operation_aborted))
                    return self->read_request();
                if (error)
                    return self->close();
                if (self->on_gone_)
                    self->watch();
            });
    }

    void set_deadline(std::chrono::seconds time) {
        deadline_.expires_after(time);
        deadline_.async_wait([weak = weak_from_this()](const error_code &error) {
            const auto self = weak.lock();
            if (!error && self && self->deadline_.expiry() <= asio::steady_timer::clock_type::now())
                self->close();
        });
    }

    tcp::socket socket_;
    asio::steady_timer deadline_;
    std::shared_ptr<Shared> shared_;
    beast::flat_buffer buffer_;
    boost::optional<http::request_parser<http::string_body>> parser_;
    std::shared_ptr<http::response<http::empty_body>> head_;
    std::deque<std::string> queue_;
    std::size_t unsent_ = 0;
    std::size_t lingered_ = 0;
    std::function<void()> on_drained_;
    std::function<void()> on_gone_;
    unsigned version_ = 11;
    bool keep_alive_ = true;
    bool is_head_ = false;
    bool chunked_ = true;
    bool streaming_ = false;
    bool writing_ = false;
    bool finishing_ = false;
    bool watching_ = false;
    bool then_read_ = false;
    bool then_linger_ = false;
    bool idle_ = false;
    bool gone_ = false;
};

// A handler that forgot its request would leave the client waiting.
inline ConnectionExchange::~ConnectionExchange() {
    if (connection_ == nullptr || connection_->shared_->ended)
        return;
    if (connection_->streaming_)
        connection_->close();
    else
        connection_->send(refusal(500, "This request was not answered."));
}
inline void ConnectionExchange::send(Response response) {
    if (const auto connection = std::exchange(connection_, nullptr))
        connection->send(std::move(response));
}
inline void ConnectionExchange::start(Response head) {
    if (connection_ != nullptr)
        connection_->start(std::move(head));
}
inline void ConnectionExchange::write(std::string part) {
    if (connection_ != nullptr)
        connection_->write(std::move(part));
}
inline void ConnectionExchange::finish() {
    if (const auto connection = std::exchange(connection_, nullptr)) {
        connection->streaming_ = false;
        connection->finish();
    }
}
inline std::size_t ConnectionExchange::unsent() const { return connection_ == nullptr ? 0 : connection_->unsent(); }
inline void ConnectionExchange::notify(std::function<void()> drained, std::function<void()> gone) {
    if (connection_ != nullptr)
        connection_->notify(std::move(drained), std::move(gone));
}

}  // namespace rill::serve::detail
