// How a connection reads its requests. See http_connection.hpp.
//
// The handler judges a request by its head: what is refused there is refused before a byte of its body is kept, so
// nobody without a token fills the memory, and 100 Continue is not said to them. Fields behind a chunked body
// (trailers) count for nothing: they come when the request has been judged.
#include "http_connection.hpp"

#include <algorithm>

namespace rill::serve::detail {
namespace {

template <typename Message>
Request head_of(const Message &message) {
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
    return request;
}

// Some of these are answered without a token, and none has a use for a body.
bool has_no_body(http::verb method) {
    return method == http::verb::get || method == http::verb::head || method == http::verb::options ||
           method == http::verb::delete_;
}

}  // namespace

void Connection::read_request() {
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

void Connection::read_header() {
    idle_ = false;
    begun_at_ = std::chrono::system_clock::now();
    begun_ = std::chrono::steady_clock::now();
    set_deadline(shared_->limits.header);
    http::async_read_header(socket_, buffer_, *parser_,
                            [self = shared_from_this()](const error_code &error, std::size_t) {
                                if (error)
                                    return self->refuse(error);
                                self->judge_header();
                            });
}

void Connection::judge_header() {
    const auto &message = parser_->get();
    request_ = head_of(message);
    is_head_ = message.method() == http::verb::head;
    version_ = message.version();
    keep_alive_ = message.keep_alive();
    finishing_ = false;
    // What a proxy in front may read in another way: where the request ends, and to whom it goes. Beast takes a
    // Transfer-Encoding that does not end in "chunked" for none.
    const auto codings = message.count(http::field::transfer_encoding);
    if (codings != 0 &&
        !(codings == 1 && parser_->chunked() && beast::iequals(message[http::field::transfer_encoding], "chunked")))
        return refuse(refusal(400, "The only Transfer-Encoding here is \"chunked\"."));
    if (message.count(http::field::host) > 1)
        return refuse(refusal(400, "A request has one Host."));
    auto refused = shared_->handler->admit(request_);
    begin_entry(request_.role.value_or(""));
    if (refused) {
        // A body that is not read stands where the next request would.
        if (!parser_->is_done())
            keep_alive_ = false;
        return send(std::move(*refused));
    }
    if (has_no_body(message.method()))
        parser_->body_limit(std::uint64_t{0});
    const auto length = parser_->content_length();
    if (length && *length > (has_no_body(message.method()) ? 0 : shared_->limits.body_bytes))
        return refuse(http::error::body_limit);
    if (beast::iequals(message[http::field::expect], "100-continue"))
        return send_continue();
    read_body();
}

void Connection::send_continue() {
    static const std::string kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    set_deadline(shared_->limits.write);
    asio::async_write(socket_, asio::buffer(kContinue),
                      [self = shared_from_this()](const error_code &error, std::size_t) {
                          if (error)
                              return self->close();
                          self->read_body();
                      });
}

void Connection::read_body() {
    set_deadline(shared_->limits.body);
    claim_ = std::make_shared<BodyClaim>(shared_->bodies);
    parser_->eager(true);
    read_more_body();
}

void Connection::read_more_body() {
    if (!claim_->grow_to(parser_->get().body().size(), shared_->limits.all_bodies))
        return refuse(unavailable("The bodies of other requests take all the memory that there is for them."));
    if (parser_->is_done())
        return handle();
    http::async_read_some(socket_, buffer_, *parser_,
                          [self = shared_from_this()](const error_code &error, std::size_t) {
                              if (error)
                                  return self->refuse(error);
                              self->read_more_body();
                          });
}

void Connection::refuse(const error_code &error) {
    is_head_ = false;
    version_ = 11;
    if (error == http::error::body_limit)
        return refuse(refusal(413, "The body is larger than this server accepts."));
    if (error == http::error::header_limit || error == http::error::buffer_overflow)
        return refuse(refusal(431, "The header is larger than this server accepts."));
    if (error == http::error::end_of_stream || error == http::error::partial_message ||
        error.category() != make_error_code(http::error::bad_method).category())
        return close();
    refuse(refusal(400, "This is not a request of HTTP/1.1."));
}

void Connection::refuse(Response response) {
    keep_alive_ = false;
    begin_entry("");  // whose head could not be read
    parser_.reset();
    claim_.reset();
    send(std::move(response));
}

void Connection::begin_entry(std::string_view role) {
    if (shared_->access_log == nullptr || entry_)
        return;
    const auto &message = parser_->get();
    entry_ = AccessEntry{.time = begun_at_,
                         .remote = remote_,
                         .role = std::string(role),
                         .method = std::string(message.method_string()),
                         .target = std::string(message.target())};
}

void Connection::end_entry() {
    if (!entry_)
        return;
    entry_->duration = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begun_);
    shared_->access_log->put(access_line(*entry_), LineWriter::Kind::traffic);
    entry_.reset();
}

void Connection::handle() {
    clear_deadline();
    Request request = std::exchange(request_, Request());
    request.body = std::move(parser_->get().body());
    request.body_memory = std::exchange(claim_, nullptr);
    parser_.reset();
    shared_->handler->handle(std::move(request), std::make_shared<ConnectionExchange>(shared_from_this()));
}

}  // namespace rill::serve::detail
