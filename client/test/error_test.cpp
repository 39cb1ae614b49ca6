// Which kind an Error is of, and what is refused before it is sent.
#include "call_pool.hpp"
#include "params.hpp"
#include "rill/error.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using rill::Error;
using rill::ErrorKind;
using rill::detail::CallPool;
using rill::detail::Clock;
using rill::detail::TimePoint;
using rill::test::eventually;

namespace {

ErrorKind kind(const char *sqlstate, bool connection_lost = false) {
    return Error("x", {.sqlstate = sqlstate, .connection_lost = connection_lost}).kind();
}

// A pool without a server: connections are made, but never connect.
struct Pool {
    explicit Pool(std::size_t limit) : pool({conninfo, 10ms, closed, cancels}, limit) {}

    rill::detail::Conninfo conninfo{"host=/nowhere"};
    rill::detail::WakeFd closed;
    rill::detail::CancelRequests cancels;
    CallPool pool;
};

}  // namespace

TEST_CASE("an error's kind follows from its SQLSTATE, and else from the connection") {
    CHECK(kind("RL001") == ErrorKind::closed);
    CHECK(kind("RL002") == ErrorKind::trimmed);
    CHECK(kind("RL003") == ErrorKind::diverged);
    CHECK(kind("RL004") == ErrorKind::mismatch);
    CHECK(kind("RL005") == ErrorKind::fenced);
    CHECK(kind("RL006") == ErrorKind::gap);
    CHECK(kind("RL007") == ErrorKind::missing);
    CHECK(kind("RL008") == ErrorKind::other);
    CHECK(kind("RL0010") == ErrorKind::other);
    CHECK(kind("42501") == ErrorKind::denied);
    CHECK(kind("22023") == ErrorKind::usage);
    CHECK(kind("54000") == ErrorKind::usage);
    CHECK(kind("40001") == ErrorKind::other);
    CHECK(kind("", true) == ErrorKind::connection);
    CHECK(kind("57P01", true) == ErrorKind::connection);
    CHECK(kind("") == ErrorKind::other);
    CHECK(Error("x", {.sqlstate = "RL001", .kind = ErrorKind::usage}).kind() == ErrorKind::usage);
    CHECK(rill::Closed().kind() == ErrorKind::other);
    CHECK_FALSE(rill::Closed().outcome_unknown());
    CHECK(rill::Closed(true).outcome_unknown());
    CHECK(rill::to_string(ErrorKind::diverged) == "diverged");
}

TEST_CASE("data that fits into no message is refused, as one parameter and as a batch") {
    // Never read: the refusal comes first.
    const char byte = 'x';
    const std::string_view huge(&byte, std::size_t{1'100'000'000});
    const auto refused = [](auto &&action) {
        try {
            action();
        } catch (const Error &error) {
            return error.sqlstate() == "54000" && error.kind() == ErrorKind::usage;
        }
        return false;
    };
    CHECK(refused([&] { rill::detail::Params().text(huge); }));
    CHECK(refused([&] { rill::detail::ArrayParam(rill::detail::kByteaOid).add(huge); }));
    rill::detail::ArrayParam array(rill::detail::kByteaOid);
    const std::string megabyte(1 << 20, 'x');
    CHECK(refused([&] {
        for (int i = 0; i < 1'025; ++i)
            array.add(megabyte);
    }));
}

TEST_CASE("when all connections for calls are busy, a call waits, and says so at its deadline") {
    Pool each(2);
    const auto first = each.pool.take(TimePoint::max());
    const auto second = each.pool.take(TimePoint::max());
    try {
        const auto third = each.pool.take(Clock::now() + 10ms);
        FAIL("a third connection");
    } catch (const Error &error) {
        CHECK(error.sqlstate() == "57014");
        CHECK(error.kind() == ErrorKind::other);
        CHECK(error.retryable());
        CHECK_FALSE(error.connection_lost());
        CHECK_FALSE(error.outcome_unknown());
    }
}

TEST_CASE("a connection that becomes free goes to the call that waits longest") {
    Pool each(1);
    constexpr int kThreads = 5;
    std::atomic<int> waiting{0};
    std::vector<int> order;  // by who has the connection
    std::vector<std::thread> threads;
    {
        const auto busy = each.pool.take(TimePoint::max());
        for (int i = 0; i < kThreads; ++i) {
            threads.emplace_back([&, i] {
                ++waiting;
                const auto mine = each.pool.take(TimePoint::max());
                order.push_back(i);
            });
            REQUIRE(eventually([&] { return waiting == i + 1 && each.pool.waiting() == std::size_t(i) + 1; }));
        }
    }
    for (auto &thread : threads)
        thread.join();
    CHECK(order == std::vector<int>{0, 1, 2, 3, 4});
}

TEST_CASE("close() ends calls that wait for a connection") {
    Pool each(1);
    const auto busy = each.pool.take(TimePoint::max());
    std::atomic<bool> was_closed{false};
    std::thread waiter([&] {
        try {
            const auto mine = each.pool.take(TimePoint::max());
        } catch (const rill::Closed &) {
            was_closed = true;
        }
    });
    REQUIRE(eventually([&] { return each.pool.waiting() == 1; }));
    each.pool.close();
    waiter.join();
    CHECK(was_closed);
    CHECK_THROWS_AS((void) each.pool.take(TimePoint::max()), rill::Closed);
}

TEST_CASE("connections beyond the present need are closed after a minute, but one is kept") {
    Pool each(4);
    {
        const auto first = each.pool.take(TimePoint::max());
        const auto second = each.pool.take(TimePoint::max());
        const auto third = each.pool.take(TimePoint::max());
    }
    CHECK(each.pool.made() == 3);
    each.pool.trim(Clock::now());
    CHECK(each.pool.made() == 3);
    each.pool.trim(Clock::now() + 61s);
    CHECK(each.pool.made() == 1);
}
