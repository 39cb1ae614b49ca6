// The rules of when to connect again, what to fetch next and when to wait in the server.
#include "backoff.hpp"
#include "batch_size.hpp"
#include "support.hpp"
#include "wait_policy.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace std::chrono_literals;
using namespace rill::detail;

TEST_CASE("the backoff doubles up to its cap, is half random, and starts again after a reset") {
    Backoff least(250ms, 30s);
    Backoff most(250ms, 30s);
    const auto low = [] { return std::uint64_t{0}; };
    for (const auto step : {250ms, 500ms, 1000ms, 2000ms, 4000ms, 8000ms, 16000ms, 30000ms, 30000ms}) {
        CHECK(least.take(low) == step / 2);
        CHECK(most.take([&] { return static_cast<std::uint64_t>((step - step / 2).count()); }) == step);
    }
    most.reset();
    CHECK(most.take(low) == 125ms);
}

TEST_CASE("a random wait is between half of the step and the step") {
    rill::test::Random random(2);
    Backoff backoff(100ms, 100ms);
    for (int i = 0; i < 1000; ++i) {
        const auto wait = backoff.take([&] { return random.below(1'000'000); });
        REQUIRE(wait >= 50ms);
        REQUIRE(wait <= 100ms);
    }
}

TEST_CASE("queries shrink while much is to come or a stream breaks them, and grow again") {
    BatchSize size;
    CHECK(size.limit() == BatchSize::kMost);
    size.succeeded(true, 1000);
    CHECK(size.limit() == 4000);
    size.failed(4000);
    CHECK(size.limit() == 2000);
    size.failed(1);
    CHECK(size.limit() == 1);
    size.succeeded(false, 1);
    CHECK(size.limit() == 2);
    size.reset();
    CHECK(size.limit() == BatchSize::kMost);
}

TEST_CASE("waits that news ends at once pause, longer each time, and continue when it is quiet") {
    const TimePoint start{std::chrono::hours(1)};
    auto now = start;
    const auto short_wait = [&](WaitPolicy &policy, bool listening) {
        const auto since = now;
        now += std::chrono::microseconds(300);
        return policy.ended(since, now, true, listening);
    };
    for (const bool listening : {true, false}) {
        WaitPolicy policy;
        CHECK(policy.not_before() <= start);
        CHECK_FALSE(short_wait(policy, listening));  // one after another is no stream
        CHECK(short_wait(policy, listening));
        auto rest = std::chrono::milliseconds(0);
        for (int round = 0; round < 20; ++round) {
            for (int i = 0; i < 20 && policy.not_before() <= now; ++i)
                (void) short_wait(policy, listening);
            REQUIRE(policy.not_before() > now);
            const auto next = std::chrono::duration_cast<std::chrono::milliseconds>(policy.not_before() - now);
            CHECK(next >= rest);
            rest = next;
            now = policy.not_before();
        }
        CHECK(rest == std::chrono::milliseconds(listening ? 1000 : 10));
        const auto since = now;
        now += std::chrono::milliseconds(5);
        CHECK_FALSE(policy.ended(since, now, true, listening));
        for (int i = 0; i < 7; ++i)
            (void) short_wait(policy, listening);
        CHECK(policy.not_before() <= now);
        (void) short_wait(policy, listening);
        CHECK(policy.not_before() - now == std::chrono::milliseconds(10));
    }
}

TEST_CASE("a server that does not allow waiting is left alone for a while, one that only cancels long waits is not") {
    const TimePoint start{std::chrono::hours(1)};
    WaitPolicy policy;
    policy.failed(start, start + std::chrono::seconds(2));
    CHECK(policy.not_before() <= start);
    policy.failed(start, start + std::chrono::milliseconds(1));
    CHECK(policy.not_before() >= start + std::chrono::seconds(10));
    policy.reset();
    CHECK(policy.not_before() <= start);
}

TEST_CASE("a wait that is cut short is repeated with another length, but not forever") {
    const TimePoint start{std::chrono::hours(1)};
    WaitPolicy policy;
    CHECK(policy.padding() == 0);
    policy.cut_short(start, start + std::chrono::minutes(1));
    CHECK(policy.padding() == 0);
    std::set<std::size_t> lengths{0};
    for (int i = 0; i < 3; ++i) {
        policy.cut_short(start, start + std::chrono::milliseconds(1));
        CHECK(lengths.insert(policy.padding()).second);
        CHECK(policy.not_before() <= start);
    }
    policy.cut_short(start, start + std::chrono::milliseconds(1));
    CHECK(policy.not_before() >= start + std::chrono::seconds(10));
}
