// See arguments.hpp.
#include "arguments.hpp"

#include "rill/error.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

namespace rill::detail {
namespace {

constexpr std::size_t kMaxName = 512;

// Long enough to mean forever, and short enough to be added to any point in time.
constexpr std::chrono::milliseconds kForever = std::chrono::hours(24 * 365 * 100);

[[noreturn]] void throw_invalid(const std::string &message, std::string hint = {}) {
    throw Error(message, {.sqlstate = "22023", .hint = std::move(hint)});
}

}  // namespace

Options checked_options(Options options) {
    const auto not_negative = [](std::chrono::milliseconds value, const char *name) {
        if (value.count() < 0)
            throw_invalid(std::string("option ") + name + " must not be negative", "Use 0 to turn it off.");
    };
    const auto positive = [](auto value, const char *name) {
        if (value <= 0)
            throw_invalid(std::string("option ") + name + " must be positive", "Leave it out for the default.");
    };
    not_negative(options.poll_interval, "poll_interval");
    not_negative(options.call_timeout, "call_timeout");
    not_negative(options.give_up_after, "give_up_after");
    positive(options.response_timeout.count(), "response_timeout");
    positive(options.reconnect_min.count(), "reconnect_min");
    positive(options.reconnect_max.count(), "reconnect_max");
    positive(options.fetch_chunks, "fetch_chunks");
    positive(options.fetch_bytes, "fetch_bytes");
    if (options.call_connections == 0)
        throw_invalid("option call_connections must be positive", "Leave it out for the default.");
    if (options.buffer_chunks == 0 || options.buffer_bytes == 0)
        throw_invalid("options buffer_chunks and buffer_bytes must be positive", "Leave them out for the defaults.");
    for (auto *const duration : {&options.poll_interval, &options.response_timeout, &options.call_timeout,
                                 &options.give_up_after, &options.reconnect_min, &options.reconnect_max})
        *duration = std::min(*duration, kForever);
    return options;
}

void check_duration(std::chrono::milliseconds &duration, const char *name) {
    if (duration.count() < 0)
        throw_invalid(std::string("option ") + name + " must not be negative", "Use 0 for no limit.");
    duration = std::min(duration, kForever);
}

void check_name(std::string_view name, const char *what) {
    if (name.empty() || name.size() > kMaxName)
        throw_invalid(std::string(what) + " must be 1 to 512 bytes long",
                      "This one has " + std::to_string(name.size()) + " bytes.");
    if (name.find('\0') != std::string_view::npos)
        throw_invalid(std::string(what) + " must not contain a zero byte");
}

void check_stream_name(std::string_view stream) { check_name(stream, "stream name"); }

void check_start(const Start &start) {
    if (start.position.id < 0)
        throw_invalid("cursor must not be negative", "Use from_start() to read from the beginning.");
    if (start.count < 0)
        throw_invalid("count must not be negative");
}

}  // namespace rill::detail
