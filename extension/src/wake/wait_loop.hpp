// The loop behind every wait in the server: look, sleep until a wake-up or the recheck, look again.
// Must survive: lost wake-ups (the recheck), cancel, statement_timeout, terminate and postmaster death while asleep,
// and errors in the look (the abort callback ends the wait).
#pragma once
#include "base/postgres_api.hpp"

namespace rill {

// Runs `look` at once, then again each time one of the streams with these keys moves or
// pg_rill.recheck_interval has passed, until it returns true or `timeout` microseconds are over
// (-1: never). Returns what the last look returned. Between looks nothing of ours is held: no
// snapshot, and no lock but those on the tables that row-level security policies read, which the
// transaction keeps; `let_go`, if given, ends it before each sleep. Answers cancel, statement_timeout, terminate and
// postmaster death at once. With UntilInput::yes it also ends, returning false, when the client sends anything further.
enum class UntilInput : bool { no, yes };
using LookFunction = bool (*)(void *);
bool wait_until(const uint64 *keys, int count, int64 timeout, void (*let_go)(), LookFunction look, void *state,
                UntilInput until_input);

template <typename Fn>
bool wait_until(const uint64 *keys, int count, int64 timeout, void (*let_go)(), Fn fn,
                UntilInput until_input = UntilInput::no) {
    static_assert(std::is_trivially_destructible_v<Fn>);
    return wait_until(
        keys, count, timeout, let_go, [](void *state) { return (*static_cast<Fn *>(state))(); }, &fn, until_input);
}

}  // namespace rill
