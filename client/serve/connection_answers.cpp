// How a connection sends its answers, waits between requests, and ends. See http_connection.hpp.
#include "http_connection.hpp"

#include <algorithm>

namespace rill::serve::detail {

void Connection::stop() {
    if (idle_)
        close();
}

void Connection::close() {
    error_code ignored;
    deadline_.cancel();
    (void) socket_.shutdown(tcp::socket::shutdown_both, ignored);
    (void) socket_.close(ignored);
    idle_ = false;
    queue_.clear();
    unsent_ = 0;
    gone_ = true;
    if (!writing_)  // a write that is under way ends now, and its handler knows how much has left
        end_entry();
    const auto gone = std::exchange(on_gone_, nullptr);
    on_drained_ = nullptr;
    if (gone)
        gone();
}

template <typename Message>
void Connection::fill(Message &message, const Response &response) {
    message.version(version_);
    message.result(static_cast<unsigned>(response.status));
    for (const auto &[name, value] : response.headers)
        message.insert(name, value);
    message.keep_alive(keep_alive_ && !shared_->stopping);
    if (entry_)
        entry_->status = response.status;
    if (shared_->stopping)
        keep_alive_ = false;
}

void Connection::send(Response response) {
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
    writing_ = true;
    set_deadline(write_time(message->body().size()));
    http::async_write(socket_, *message,
                      [self = shared_from_this(), message](const error_code &error, std::size_t bytes) {
                          self->writing_ = false;
                          self->sent(bytes);
                          if (error)
                              return self->close();
                          self->answered();
                      });
}

void Connection::start(Response head) {
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
    http::async_write_header(socket_, *serializer,
                             [self = shared_from_this(), serializer](const error_code &error, std::size_t bytes) {
                                 self->sent(bytes);
                                 self->written(error, 0);
                             });
}

void Connection::write(std::string part) {
    if (gone_ || part.empty())
        return;
    unsent_ += part.size();
    queue_.push_back(std::move(part));
    write_next();
}

void Connection::finish() {
    if (gone_)
        return;
    finishing_ = true;
    write_next();
}

void Connection::notify(std::function<void()> drained, std::function<void()> gone) {
    if (gone_) {
        if (gone)
            asio::post(socket_.get_executor(), std::move(gone));
        return;
    }
    on_drained_ = std::move(drained);
    on_gone_ = std::move(gone);
    watch();
}

// For all of it: a second more for each 16 kB.
std::chrono::seconds Connection::write_time(std::size_t bytes) const {
    return shared_->limits.write + std::chrono::seconds(bytes / 16'384);
}

void Connection::write_next() {
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
    const auto done = [self = shared_from_this(), part, size](const error_code &error, std::size_t bytes) {
        self->sent(bytes);
        self->written(error, size);
    };
    if (chunked_)
        asio::async_write(socket_, http::make_chunk(asio::buffer(*part)), done);
    else
        asio::async_write(socket_, asio::buffer(*part), done);
}

void Connection::sent(std::size_t bytes) {
    if (entry_)
        entry_->bytes += bytes;
}

void Connection::written(const error_code &error, std::size_t size) {
    writing_ = false;
    if (error || gone_)
        return close();
    unsent_ -= std::min(size, unsent_);
    clear_deadline();
    if (queue_.empty() && !finishing_ && on_drained_) {
        const auto drained = on_drained_;  // it may replace itself
        drained();
    }
    write_next();
}

void Connection::finish_body() {
    finishing_ = false;  // once: written() comes here again when drained() has finished the answer
    if (!chunked_)
        return answered();
    writing_ = true;
    set_deadline(shared_->limits.write);
    asio::async_write(socket_, http::make_chunk_last(),
                      [self = shared_from_this()](const error_code &error, std::size_t bytes) {
                          self->writing_ = false;
                          self->sent(bytes);
                          if (error)
                              return self->close();
                          self->answered();
                      });
}

void Connection::answered() {
    clear_deadline();
    end_entry();
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
void Connection::linger() {
    error_code ignored;
    (void) socket_.shutdown(tcp::socket::shutdown_send, ignored);
    set_deadline(std::chrono::seconds(2));
    if (watching_) {
        then_linger_ = true;
        return socket_.cancel();
    }
    drain();
}

void Connection::drain() {
    buffer_.clear();
    socket_.async_read_some(buffer_.prepare(16'384), [self = shared_from_this()](const error_code &error, std::size_t) {
        if (error || (self->lingered_ += 16'384) > 4 * 1024 * 1024)
            return self->close();
        self->drain();
    });
}

// While a handler waits, reads what the client sends, to learn when it leaves. Pipelined requests are kept.
void Connection::watch() {
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

void Connection::set_deadline(std::chrono::seconds time) {
    deadline_.expires_after(time);
    deadline_.async_wait([weak = weak_from_this()](const error_code &error) {
        const auto self = weak.lock();
        if (!error && self && self->deadline_.expiry() <= asio::steady_timer::clock_type::now())
            self->close();
    });
}

// cancel() would not do: a wait that is over already is queued, and checks when the deadline is.
void Connection::clear_deadline() { deadline_.expires_at(asio::steady_timer::time_point::max()); }

// A handler that forgot its request would leave the client waiting.
ConnectionExchange::~ConnectionExchange() {
    if (connection_ == nullptr || connection_->shared_->ended)
        return;
    if (connection_->streaming_)
        connection_->close();
    else
        connection_->send(refusal(500, "This request was not answered."));
}
void ConnectionExchange::send(Response response) {
    if (const auto connection = std::exchange(connection_, nullptr))
        connection->send(std::move(response));
}
void ConnectionExchange::start(Response head) {
    if (connection_ != nullptr)
        connection_->start(std::move(head));
}
void ConnectionExchange::write(std::string part) {
    if (connection_ != nullptr)
        connection_->write(std::move(part));
}
void ConnectionExchange::finish() {
    if (const auto connection = std::exchange(connection_, nullptr)) {
        connection->streaming_ = false;
        connection->finish();
    }
}
std::size_t ConnectionExchange::unsent() const { return connection_ == nullptr ? 0 : connection_->unsent(); }
void ConnectionExchange::notify(std::function<void()> drained, std::function<void()> gone) {
    if (connection_ != nullptr)
        connection_->notify(std::move(drained), std::move(gone));
}

}  // namespace rill::serve::detail
