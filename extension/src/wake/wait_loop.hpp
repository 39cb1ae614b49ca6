// The loop behind every wait in the server: check, sleep until a wake-up or the recheck, check again.
// Must survive: lost wake-ups (the recheck), a wall clock that is set forward or back, cancel, statement_timeout,
// terminate and postmaster death while asleep, and errors in the check (the abort callback ends the wait).
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

// Calls `check` at once, then each time one of the streams with these keys has changed or pg_rill.recheck_interval has
// passed, until it returns true, `timeout` microseconds are over (-1: never), or stream_interrupt() names this session.
// Returns what the last check returned, which came after whatever ended the wait.
// Between checks we hold no snapshot, and no locks except those on the tables that row-level security policies read,
// which the transaction keeps; `before_sleep`, if given, runs before each sleep and ends that transaction. Cancel,
// statement_timeout, terminate and postmaster death take effect at once. With UntilInput::yes the wait also ends,
// returning false, when the client sends further input.
enum class UntilInput : bool { no, yes };
using WaitCheck = bool (*)(void *);
bool wait_until(const uint64 *keys, int count, int64 timeout, void (*before_sleep)(), WaitCheck check, void *state,
                UntilInput until_input);

template <typename Fn>
bool wait_until(const uint64 *keys, int count, int64 timeout, void (*before_sleep)(), Fn fn,
                UntilInput until_input = UntilInput::no) {
    static_assert(std::is_trivially_destructible_v<Fn>);
    return wait_until(
        keys, count, timeout, before_sleep, [](void *state) { return (*static_cast<Fn *>(state))(); }, &fn,
        until_input);
}

}  // namespace rill
