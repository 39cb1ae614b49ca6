// The one way to call the user's on_event. Thread-safety: the loop's thread only.
#pragma once

#include "counters.hpp"
#include "rill/error.hpp"
#include "rill/stats.hpp"

#include <functional>
#include <utility>

namespace rill::detail {

class EventSink {
public:
    EventSink(std::function<void(const Event &)> callback, Counters &counters)
        : callback_(std::move(callback)), counters_(counters) {}

    // An exception that leaves the callback is swallowed and counted.
    void emit(const Event &event) const noexcept {
        if (!callback_)
            return;
        try {
            callback_(event);
        } catch (...) {
            add(counters_.callback_errors);
        }
    }
    // For disconnected and degraded.
    void emit(Event::Kind kind, Event::Channel channel, const Error &why) const {
        emit({.kind = kind, .channel = channel, .reason = why.what(), .hint = why.hint(), .sqlstate = why.sqlstate()});
    }

private:
    std::function<void(const Event &)> callback_;
    Counters &counters_;
};

}  // namespace rill::detail
