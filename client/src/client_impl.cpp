// See client_impl.hpp.
#include "client_impl.hpp"

#include "arguments.hpp"
#include "block_signals.hpp"
#include "server_time.hpp"

#include <chrono>
#include <future>
#include <string>
#include <system_error>
#include <utility>

namespace rill::detail {
namespace {

// How often it is checked whether connections for calls have been idle for long.
constexpr std::chrono::seconds kTrimInterval{30};

}  // namespace

ClientImpl::ClientImpl(std::string_view conninfo, Options options)
    : options_(checked_options(std::move(options))), conninfo_(conninfo, options_.application_name),
      listen_conninfo_(options_.listen_conninfo.empty() ? conninfo : std::string_view(options_.listen_conninfo),
                       options_.application_name),
      mailbox_(std::make_shared<Mailbox>()), calls_(conninfo_, options_.call_timeout, options_.call_connections),
      loop_(conninfo_, listen_conninfo_, options_, mailbox_, counters_) {
    loop_.every(kTrimInterval, [this](TimePoint now) { calls_.trim(now); });
    std::promise<void> promise;
    auto connected = promise.get_future();
    try {
        const BlockSignals blocked;
        thread_ = std::thread([this, promise = std::move(promise)]() mutable { loop_.run(std::move(promise)); });
    } catch (const std::system_error &error) {
        throw Error("could not start the background thread of the rill client: " + std::string(error.what()),
                    {.sqlstate = "53000", .retryable = true});
    }
    thread_id_ = thread_.get_id();
    try {
        connected.get();
    } catch (...) {
        close();
        throw;
    }
}

ClientImpl::~ClientImpl() { close(); }

void ClientImpl::close() noexcept {
    calls_.close();
    mailbox_->request_stop();
    if (thread_id_ == std::this_thread::get_id())
        return;
    const std::scoped_lock lock(join_mutex_);
    if (thread_.joinable())
        thread_.join();
}

std::shared_ptr<Subscription> ClientImpl::follow(std::string_view stream, Start start) {
    check_stream_name(stream);
    check_start(start);
    if (mailbox_->stop_requested())
        throw Closed();
    LeftOut left_out;
    const Position from = find(stream, start, left_out);
    auto subscription = std::make_shared<Subscription>(
        std::string(stream), from, mailbox_, BufferLimits{options_.buffer_chunks, options_.buffer_bytes}, left_out);
    mailbox_->post(subscription);
    return subscription;
}

// The cursor to begin at. What is to be skipped but not there yet is left out of what comes.
Position ClientImpl::find(std::string_view stream, const Start &start, LeftOut &left_out) {
    const auto cursor = [&](std::string_view call, const Params &params) {
        return Position{call_bigint(call, params, Effect::none).value_or(0), std::nullopt};
    };
    const bool at_head = start.kind == Start::Kind::only_new || (start.kind == Start::Kind::last && start.count == 0);
    if (at_head)
        return cursor("stream_head($1)", Params().text(stream));
    switch (start.kind) {
    case Start::Kind::skip: {
        if (start.count == 0)
            return {};
        const Client::Sought sought = seek(stream, start.count);
        left_out.chunks = sought.remaining;
        return {sought.chunk_id, std::nullopt};
    }
    case Start::Kind::last:
        return {seek(stream, -start.count).chunk_id, std::nullopt};
    case Start::Kind::since:
        left_out.before = to_server_time(start.since);
        return cursor("stream_seek_time($1, $2)", Params().text(stream).timestamptz(left_out.before));
    case Start::Kind::cursor:
    case Start::Kind::only_new:
        break;
    }
    return start.position;
}

Client::Sought ClientImpl::seek(std::string_view stream, std::int64_t skip) {
    const auto sql = [](const std::string &schema) {
        return "SELECT chunk_id, remaining FROM " + schema + "stream_seek($1, $2)";
    };
    const Result rows = calls_.call(sql, Params().text(stream).int8(skip), Effect::none);
    return {rows.one_row().int8(0, 0), rows.int8(0, 1)};
}

Result ClientImpl::call_function(std::string_view call, const Params &params, Effect effect) {
    const auto sql = [call](const std::string &schema) { return "SELECT " + schema + std::string(call); };
    return calls_.call(sql, params, effect);
}

std::optional<std::int64_t> ClientImpl::call_bigint(std::string_view call, const Params &params, Effect effect) {
    const Result result = call_function(call, params, effect);
    const auto read = [&result] { return result.one_row().optional_int8(0, 0); };
    return effect == Effect::writes ? read_answer_to_change(read) : read();
}

bool ClientImpl::call_boolean(std::string_view call, const Params &params, Effect effect) {
    const Result result = call_function(call, params, effect);
    const auto read = [&result] { return result.one_row().boolean(0, 0); };
    return effect == Effect::writes ? read_answer_to_change(read) : read();
}

std::int64_t not_null(std::optional<std::int64_t> value) {
    if (!value)
        throw unexpected_answer("null");
    return *value;
}

}  // namespace rill::detail
