// One connection of the HTTP front: its requests, one after the other, and the answers to them. For the files that
// compile Beast: http_server.cpp, connection_requests.cpp, connection_answers.cpp.
//
// A connection lives as long as an operation on its socket is under way or a handler has its Exchange. Its states: idle
// (between requests), reading a header, reading a body, with the handler, sending, lingering. Each of them but "with
// the handler" has a deadline; there, the socket is watched when the handler wants to know that the client has gone.
#pragma once

#include "access_log.hpp"
#include "body_claim.hpp"
#include "http.hpp"
#include "http_server.hpp"
#include "line_writer.hpp"

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
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
    LineWriter *access_log = nullptr;  // null: none is kept
    Handler *handler = nullptr;
    std::unordered_set<Connection *> connections;
    std::shared_ptr<std::size_t> bodies = std::make_shared<std::size_t>(0);  // bytes; see body_claim.hpp
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
        error_code ignored;
        if (shared_->access_log != nullptr)
            remote_ = socket_.remote_endpoint(ignored).address().to_string();  // later it may have gone
    }
    Connection(const Connection &) = delete;
    Connection &operator=(const Connection &) = delete;
    ~Connection() { shared_->connections.erase(this); }

    void read_request();
    // An idle connection is closed when the server stops; an answer under way ends first.
    void stop();
    void close();

private:
    friend class ConnectionExchange;

    // Requests.
    void read_header();
    void judge_header();
    void send_continue();
    void read_body();
    void read_more_body();
    // What cannot be read is answered if it can be, and the connection ends: where the next request begins is unknown.
    void refuse(const error_code &error);
    void refuse(Response response);
    void handle();
    // The access log: from a request's first byte to the end of its answer, or of the connection.
    void begin_entry(std::string_view role);
    void end_entry();

    // Answers: what an Exchange does.
    void send(Response response);
    void start(Response head);
    void write(std::string part);
    void finish();
    [[nodiscard]] std::size_t unsent() const { return unsent_; }
    void notify(std::function<void()> drained, std::function<void()> gone);

    template <typename Message>
    void fill(Message &message, const Response &response);
    [[nodiscard]] std::chrono::seconds write_time(std::size_t bytes) const;
    void write_next();
    void sent(std::size_t bytes);
    void written(const error_code &error, std::size_t size);
    void finish_body();
    void answered();

    // Between them, and at the end.
    void linger();
    void drain();
    void watch();
    void set_deadline(std::chrono::seconds time);
    void clear_deadline();

    tcp::socket socket_;
    asio::steady_timer deadline_;
    std::shared_ptr<Shared> shared_;
    // The bound of what has none of its own: the size line of a chunk and the trailers. Above header_bytes.
    beast::flat_buffer buffer_{64 * 1024};
    boost::optional<http::request_parser<http::string_body>> parser_;
    Request request_;                   // whose head has been read
    std::string remote_;                // for the access log
    std::optional<AccessEntry> entry_;  // of a request whose head was read or is refused, until its line is written
    std::chrono::system_clock::time_point begun_at_;
    std::chrono::steady_clock::time_point begun_;
    std::shared_ptr<BodyClaim> claim_;
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

}  // namespace rill::serve::detail
