// The numbers behind Client::stats(). Thread-safety: counted by the loop, read by any thread.
#pragma once

#include "rill/stats.hpp"

#include <atomic>
#include <cstdint>

namespace rill::detail {

struct Counters {
    using Count = std::atomic<std::uint64_t>;
    Count chunks_caught_up{0}, chunks_by_wait{0}, chunks_by_notify{0}, chunks_by_poll{0}, chunks_rescued{0};
    Count notifications{0}, polls{0}, fetches{0}, waits{0}, reconnects{0}, connect_failures{0}, callback_errors{0},
        readers{0};
    std::atomic<bool> reading{false}, listening{false};

    [[nodiscard]] Stats read() const noexcept {
        constexpr auto relaxed = std::memory_order_relaxed;
        return {.chunks_caught_up = chunks_caught_up.load(relaxed),
                .chunks_by_wait = chunks_by_wait.load(relaxed),
                .chunks_by_notify = chunks_by_notify.load(relaxed),
                .chunks_by_poll = chunks_by_poll.load(relaxed),
                .chunks_rescued = chunks_rescued.load(relaxed),
                .notifications = notifications.load(relaxed),
                .polls = polls.load(relaxed),
                .fetches = fetches.load(relaxed),
                .waits = waits.load(relaxed),
                .reconnects = reconnects.load(relaxed),
                .connect_failures = connect_failures.load(relaxed),
                .callback_errors = callback_errors.load(relaxed),
                .readers = readers.load(relaxed),
                .reading = reading.load(relaxed),
                .listening = listening.load(relaxed)};
    }
};

inline void add(Counters::Count &count, std::uint64_t n = 1) noexcept { count.fetch_add(n, std::memory_order_relaxed); }

}  // namespace rill::detail
