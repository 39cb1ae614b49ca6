// The table of transitions in reader_state.hpp, event by event.
#include "followed_stream.hpp"
#include "reader_state.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

using rill::detail::FollowedStream;
using rill::detail::kCatchUp;
using rill::detail::kNotify;
using rill::detail::kPoll;
using rill::detail::kWait;
using rill::detail::ReaderState;
using Phase = ReaderState::Phase;
using Check = ReaderState::CursorCheck;
using Wake = ReaderState::Wake;

namespace {

constexpr Phase kAll[] = {Phase::unregistered,  Phase::idle,           Phase::queued,
                          Phase::fetching,      Phase::fetching_woken, Phase::waiting,
                          Phase::waiting_woken, Phase::full,           Phase::removed};

FollowedStream stream;

// A state in this phase, reached by the events that lead there.
ReaderState in(Phase phase) {
    ReaderState state({});
    if (phase == Phase::unregistered)
        return state;
    state.join(stream, 3);
    switch (phase) {
    case Phase::unregistered:
    case Phase::idle:
        break;
    case Phase::queued:
        (void) state.wake(kPoll);
        break;
    case Phase::fetching:
    case Phase::fetching_woken:
    case Phase::full:
        (void) state.wake(kPoll);
        state.take();
        if (phase == Phase::fetching_woken)
            (void) state.wake(kNotify);
        if (phase == Phase::full)
            state.fill();
        break;
    case Phase::waiting:
    case Phase::waiting_woken:
        state.take_waiting();
        if (phase == Phase::waiting_woken)
            (void) state.wake(kPoll);
        break;
    case Phase::removed:
        state.leave();
    }
    return state;
}

using Moves = std::vector<std::pair<Phase, Phase>>;

// The event takes each listed phase to the one beside it, and changes no other.
void expect(const std::string &event, const std::function<void(ReaderState &)> &happen, const Moves &moves) {
    for (const Phase from : kAll) {
        CAPTURE(event);
        CAPTURE(static_cast<int>(from));
        ReaderState state = in(from);
        REQUIRE(state.phase() == from);
        happen(state);
        Phase expected = from;
        for (const auto &[before, after] : moves)
            if (before == from)
                expected = after;
        CHECK(state.phase() == expected);
    }
}

}  // namespace

TEST_CASE("each event moves a reader as the table says, and nothing else does") {
    expect("join", [](ReaderState &s) { s.join(stream, 0); }, {{Phase::unregistered, Phase::idle}});
    expect("wake", [](ReaderState &s) { (void) s.wake(kPoll); },
           {{Phase::idle, Phase::queued},
            {Phase::fetching, Phase::fetching_woken},
            {Phase::waiting, Phase::waiting_woken}});
    expect("wake by NOTIFY", [](ReaderState &s) { (void) s.wake(kNotify); },
           {{Phase::idle, Phase::queued}, {Phase::fetching, Phase::fetching_woken}});
    expect("take", [](ReaderState &s) { s.take(); }, {{Phase::queued, Phase::fetching}});
    expect("take_waiting", [](ReaderState &s) { s.take_waiting(); }, {{Phase::idle, Phase::waiting}});
    expect("finish", [](ReaderState &s) { (void) s.finish(false); },
           {{Phase::fetching, Phase::idle},
            {Phase::waiting, Phase::idle},
            {Phase::fetching_woken, Phase::queued},
            {Phase::waiting_woken, Phase::queued}});
    const Moves all_queued{{Phase::fetching, Phase::queued},
                           {Phase::waiting, Phase::queued},
                           {Phase::fetching_woken, Phase::queued},
                           {Phase::waiting_woken, Phase::queued}};
    expect(
        "finish with more", [](ReaderState &s) { (void) s.finish(true); }, all_queued);
    expect(
        "put_back", [](ReaderState &s) { (void) s.put_back(); }, all_queued);
    expect("fill", [](ReaderState &s) { s.fill(); },
           {{Phase::fetching, Phase::full},
            {Phase::waiting, Phase::full},
            {Phase::fetching_woken, Phase::full},
            {Phase::waiting_woken, Phase::full}});
    expect("drain", [](ReaderState &s) { s.drain(); }, {{Phase::full, Phase::idle}});
    expect("reset", [](ReaderState &s) { s.reset(); },
           {{Phase::queued, Phase::idle},
            {Phase::fetching, Phase::idle},
            {Phase::waiting, Phase::idle},
            {Phase::fetching_woken, Phase::idle},
            {Phase::waiting_woken, Phase::idle}});
    Moves all_removed;
    for (const Phase phase : kAll)
        all_removed.emplace_back(phase, Phase::removed);
    expect(
        "leave", [](ReaderState &s) { s.leave(); }, all_removed);
}

TEST_CASE("the caller queues a reader exactly when it becomes queued") {
    for (const Phase from : kAll) {
        CAPTURE(static_cast<int>(from));
        const auto becomes_queued = [&](auto &&event) {
            ReaderState state = in(from);
            const bool queue = event(state);
            CHECK(queue == (from != Phase::queued && state.phase() == Phase::queued));
        };
        becomes_queued([](ReaderState &state) { return state.wake(kPoll) == Wake::queue; });
        becomes_queued([](ReaderState &state) { return state.finish(false); });
        becomes_queued([](ReaderState &state) { return state.finish(true); });
        becomes_queued([](ReaderState &state) { return state.put_back(); });
    }
}

TEST_CASE("reasons gather until a query had nothing more for the reader") {
    ReaderState state = in(Phase::idle);
    CHECK(state.reasons() == 0);
    (void) state.wake(kPoll);
    (void) state.wake(kNotify);
    state.take();
    CHECK(state.reasons() == (kPoll | kNotify));
    CHECK(state.finish(true));
    CHECK(state.reasons() == (kPoll | kNotify));
    state.take();
    CHECK_FALSE(state.finish(false));
    CHECK(state.reasons() == 0);
    state.take_waiting();
    CHECK(state.wake(kNotify) == Wake::ignored);
    CHECK(state.reasons() == kWait);
}

TEST_CASE("a cursor is verified once in each connection, and one that resumes begins with its chunk") {
    ReaderState beginning({0, std::nullopt});
    CHECK(beginning.cursor_check() == Check::unverified);
    ReaderState state({7, std::nullopt});
    CHECK(state.resuming());
    state.reset();
    state.doubt();
    CHECK(state.resuming());
    state.stop_resuming();
    CHECK(state.cursor_check() == Check::unverified);
    state.set_verified();
    state.stop_resuming();
    CHECK(state.verified());
    state.doubt();
    CHECK(state.cursor_check() == Check::unverified);
    state.set_verified();
    state.reset();
    CHECK(state.cursor_check() == Check::unverified);
    ReaderState full = in(Phase::full);
    full.set_verified();
    full.reset();
    CHECK_FALSE(full.verified());
}

TEST_CASE("a removed reader belongs to no stream") {
    ReaderState state = in(Phase::fetching);
    CHECK(state.registered());
    CHECK(state.stream() == &stream);
    CHECK(state.index() == 3);
    state.leave();
    CHECK_FALSE(state.registered());
    CHECK(state.wake(kCatchUp) == Wake::ignored);
    state.join(stream, 0);
    CHECK_FALSE(state.registered());
}
