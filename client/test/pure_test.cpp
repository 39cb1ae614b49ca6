// The small pure parts: backoff, NOTIFY payloads, binary parameters, server times, what to fetch again.
#include "backoff.hpp"
#include "clock.hpp"
#include "fetch_policy.hpp"
#include "params.hpp"
#include "payload.hpp"
#include "pq.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <set>
#include <vector>

using namespace std::chrono_literals;
using namespace rill::detail;

TEST_CASE("the backoff doubles up to its cap, is half random, and begins again after a reset") {
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

TEST_CASE("a random wait lies between half of the step and the step") {
    rill::test::Random random(2);
    Backoff backoff(100ms, 100ms);
    for (int i = 0; i < 1000; ++i) {
        const auto wait = backoff.take([&] { return random.below(1'000'000); });
        REQUIRE(wait >= 50ms);
        REQUIRE(wait <= 100ms);
    }
}

TEST_CASE("a payload is ids joined by commas; everything else means look at everything") {
    const auto parse = [](std::string_view payload) {
        std::vector<std::int64_t> ids;
        const bool only_ids = parse_payload(payload, [&](std::int64_t id) { ids.push_back(id); });
        return std::pair(only_ids, ids);
    };
    CHECK(parse("12,57,1033") == std::pair(true, std::vector<std::int64_t>{12, 57, 1033}));
    CHECK(parse("9223372036854775807").first);
    for (const char *const other : {"*", "", "12,", ",12", "12;13", "0", "-3", "9223372036854775808", "12 ,13", "x"}) {
        CAPTURE(other);
        CHECK_FALSE(parse(other).first);
    }
}

TEST_CASE("an array parameter has PostgreSQL's binary layout") {
    ArrayParam ids(kInt8Oid);
    ids.add(std::int64_t{-2});
    ids.add_null();
    const std::string expected(
        "\0\0\0\1\0\0\0\1\0\0\0\x14\0\0\0\2\0\0\0\1\0\0\0\x8\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff\xff", 36);
    CHECK(ids.take() == expected);
    CHECK(ArrayParam(kTextOid).take() == std::string("\0\0\0\0\0\0\0\0\0\0\0\x19", 12));
}

TEST_CASE("an empty value is not NULL") {
    Params params;
    params.text({}).bytea({}).null(kInt4ArrayOid);
    REQUIRE(params.count() == 3);
    CHECK(params.values()[0] != nullptr);
    CHECK(params.values()[1] != nullptr);
    CHECK(params.values()[2] == nullptr);
}

TEST_CASE("server times are exact, and beyond system_clock's range they become its bounds") {
    using std::chrono::system_clock;
    CHECK(from_server_time(0) == system_clock::from_time_t(946'684'800));
    CHECK(from_server_time(123'456) - from_server_time(0) == 123'456us);
    CHECK(to_server_time(from_server_time(-987'654'321)) == -987'654'321);
    CHECK(from_server_time(std::numeric_limits<std::int64_t>::max()) > from_server_time(8'000'000'000'000'000));
    CHECK(from_server_time(std::numeric_limits<std::int64_t>::min()) < from_server_time(-8'000'000'000'000'000));
}

TEST_CASE("a page that reached its stream's share of the caps is followed by another look") {
    const FetchPolicy alone{100, 1'000'000, 1};
    CHECK(alone.cut(0, 100));
    CHECK_FALSE(alone.cut(0, 98));
    CHECK(alone.cut(999'999, 1));
    const FetchPolicy crowd{100, 1'000'000, 50};
    CHECK(crowd.cut(0, 2));
    CHECK(crowd.cut(20'000, 1));
    const FetchPolicy huge_crowd{100, 1'000'000, 100'000};
    CHECK(huge_crowd.cut(0, 1));
}

TEST_CASE("streams without a page are asked again only when a total cap was spent") {
    const FetchPolicy policy{100, 1'000'000, 50};
    CHECK_FALSE(policy.spent(999, 99));
    CHECK(policy.spent(999, 100));
    CHECK(policy.spent(1'000'000, 1));
}

TEST_CASE("queries shrink while much is to come or one stream breaks them, and grow again") {
    BatchSize size;
    CHECK(size.limit() == BatchSize::kMost);
    size.served(true, 1000);
    CHECK(size.limit() == 4000);
    size.failed(4000);
    CHECK(size.limit() == 2000);
    size.failed(1);
    CHECK(size.limit() == 1);
    size.served(false, 1);
    CHECK(size.limit() == 2);
    size.idle();
    CHECK(size.limit() == BatchSize::kMost);
}

TEST_CASE("waits that news ends at once stop for a while, longer each time, and go on when it is quiet") {
    const WaitPolicy::Clock::time_point start{std::chrono::hours(1)};
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

TEST_CASE("a server that refuses to wait is left alone for a while, one that only cancels long waits is not") {
    const WaitPolicy::Clock::time_point start{std::chrono::hours(1)};
    WaitPolicy policy;
    policy.refused(start, start + std::chrono::seconds(2));
    CHECK(policy.not_before() <= start);
    policy.refused(start, start + std::chrono::milliseconds(1));
    CHECK(policy.not_before() >= start + std::chrono::seconds(10));
    policy.reset();
    CHECK(policy.not_before() <= start);
}

TEST_CASE("a wait that is cut short is tried again with another length, and not for ever") {
    const WaitPolicy::Clock::time_point start{std::chrono::hours(1)};
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

TEST_CASE("messages become one line, and only failures without effect are transient") {
    CHECK(one_line("FATAL:  no\n\tsuch thing\n") == "FATAL:  no such thing");
    CHECK(is_transient("40001"));
    CHECK(is_transient("57P03"));
    CHECK_FALSE(is_transient("RL001"));
    CHECK_FALSE(is_transient("22023"));
    CHECK_FALSE(is_transient(""));
}
