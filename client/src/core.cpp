// See core.hpp.
#include "core.hpp"

#include "block_signals.hpp"
#include "subscription.hpp"

#include <algorithm>
#include <utility>

namespace rill::detail {
namespace {

constexpr std::size_t kMaxName = 512;

[[noreturn]] void invalid(const std::string &what, std::string hint) {
    throw Error(what, {.sqlstate = "22023", .hint = std::move(hint)});
}

// Long enough to mean never, and short enough to be added to any point in time.
constexpr std::chrono::milliseconds kForever = std::chrono::hours(24 * 365 * 100);

Options checked(Options options) {
    const auto not_negative = [](std::chrono::milliseconds value, const char *name) {
        if (value.count() < 0)
            invalid(std::string("option ") + name + " must not be negative", "Use 0 to turn it off.");
    };
    const auto positive = [](auto value, const char *name) {
        if (value <= 0)
            invalid(std::string("option ") + name + " must be above 0", "Leave it out for the default.");
    };
    not_negative(options.poll_interval, "poll_interval");
    not_negative(options.call_timeout, "call_timeout");
    not_negative(options.give_up_after, "give_up_after");
    positive(options.response_timeout.count(), "response_timeout");
    positive(options.reconnect_min.count(), "reconnect_min");
    positive(options.reconnect_max.count(), "reconnect_max");
    positive(options.fetch_chunks, "fetch_chunks");
    positive(options.fetch_bytes, "fetch_bytes");
    if (options.buffer_chunks == 0 || options.buffer_bytes == 0)
        invalid("options buffer_chunks and buffer_bytes must be above 0", "Leave them out for the defaults.");
    for (auto *const duration : {&options.poll_interval, &options.response_timeout, &options.call_timeout,
                                 &options.give_up_after, &options.reconnect_min, &options.reconnect_max})
        *duration = std::min(*duration, kForever);
    return options;
}

}  // namespace

void check_name(std::string_view stream) {
    if (stream.empty() || stream.size() > kMaxName)
        invalid("a stream's name must be 1 to 512 bytes long", "This one has " + std::to_string(stream.size()) + ".");
    if (stream.find('\0') != std::string_view::npos)
        invalid("a stream's name must not hold a zero byte", {});
}

Core::Core(std::string_view conninfo, Options options)
    : options_(checked(std::move(options))), plan_(conninfo, options_.application_name),
      mailbox_(std::make_shared<Mailbox>()), calls_(plan_, options_.call_timeout),
      loop_(plan_, options_, mailbox_, counters_) {
    std::promise<void> promise;
    auto connected = promise.get_future();
    {
        const BlockSignals blocked;
        thread_ = std::thread([this, promise = std::move(promise)]() mutable { loop_.run(std::move(promise)); });
    }
    try {
        connected.get();
    } catch (...) {
        close();
        throw;
    }
}

Core::~Core() { close(); }

void Core::close() noexcept {
    calls_.close();
    mailbox_->request_stop();
    if (thread_.get_id() == std::this_thread::get_id())
        return;
    const std::scoped_lock lock(join_);
    if (thread_.joinable())
        thread_.join();
}

std::shared_ptr<Subscription> Core::follow(std::string_view stream, Start start) {
    check_name(stream);
    if (start.position.id < 0)
        invalid("a cursor must not be negative", "Use from_start() for the beginning.");
    if (mailbox_->stop_requested())
        throw Closed();
    if (start.at_head)
        start.position.id = number("stream_head($1)", Params().text(stream), Calls::Effect::none).value_or(0);
    auto subscription = std::make_shared<Subscription>(std::string(stream), start.position, mailbox_,
                                                       Bounds{options_.buffer_chunks, options_.buffer_bytes});
    mailbox_->post(subscription);
    return subscription;
}

std::optional<std::int64_t> Core::number(std::string_view call, const Params &params, Calls::Effect effect) {
    const auto sql = [call](const std::string &schema) { return "SELECT " + schema + std::string(call); };
    const Result result = calls_.call(sql, params, effect);
    if (result.rows() != 1)
        throw Error("the server's answer makes no sense: not one row", {.sqlstate = "08P01"});
    if (result.null(0, 0))
        return std::nullopt;
    return result.int8(0, 0);
}

}  // namespace rill::detail
