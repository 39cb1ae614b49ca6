// Which chunks count as rescued by the poll.
#include "rescues.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace std::chrono_literals;
using rill::detail::Rescues;
using rill::detail::TimePoint;

TEST_CASE("a chunk that a poll found is rescued unless a wake-up announces it in time") {
    using Names = std::vector<std::string>;
    const TimePoint start{};
    Rescues rescues;
    const auto report = [&](TimePoint now) {
        Names all;
        rescues.report(now, [&](const std::string &name, std::uint64_t chunks) {
            all.push_back(name + ":" + std::to_string(chunks));
        });
        return all;
    };
    CHECK(rescues.due() == TimePoint::max());
    rescues.found_by_poll(1, "a", 3, start + 10s);
    rescues.found_by_poll(2, "b", 5, start + 10s);
    CHECK(rescues.due() == start + 10s);
    CHECK(report(start + 9s).empty());
    CHECK(rescues.due() == start + 10s);
    rescues.announced(2);
    rescues.found_by_poll(1, "a", 4, start + 12s);
    CHECK(report(start + 10s) == Names{"a:3"});
    CHECK(rescues.due() == start + 12s);
    CHECK(report(start + 12s) == Names{"a:4"});
    CHECK(rescues.due() == TimePoint::max());
    rescues.found_by_poll(3, "c", 1, start + 30s);
    rescues.announced_all();
    CHECK(report(start + 30s).empty());
}
