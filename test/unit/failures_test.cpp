// core::Failures: a stream is reported once, its pause doubles, and more streams than there is room for do no harm.
#include "core/failures.hpp"
#include "random.hpp"

namespace {

using rill::core::Failures;
constexpr std::int64_t kSecond = 1000000;

}  // namespace

TEST_CASE("the pause doubles up to an hour, and the first failure is reported") {
    Failures failures = {};
    CHECK_FALSE(failures.pausing(7, 0));
    CHECK(failures.note(7, 0, kSecond));
    CHECK(failures.pausing(7, kSecond - 1));
    CHECK_FALSE(failures.pausing(7, kSecond));
    CHECK_FALSE(failures.note(7, kSecond, kSecond));
    CHECK(failures.pausing(7, 3 * kSecond - 1));
    CHECK_FALSE(failures.pausing(7, 3 * kSecond));
    for (int i = 0; i < 100; ++i)
        CHECK_FALSE(failures.note(7, 0, kSecond));
    CHECK(failures.pausing(7, Failures::kLongestPause - 1));
    CHECK_FALSE(failures.pausing(7, Failures::kLongestPause));
    failures.succeeded(7);
    CHECK_FALSE(failures.pausing(7, 0));
    CHECK(failures.note(7, 0, kSecond));
}

TEST_CASE("streams beyond the room are neither remembered nor reported, until there is room again") {
    Failures failures = {};
    for (std::int64_t stream = 1; stream <= Failures::kRoom; ++stream)
        CHECK(failures.note(stream, 0, kSecond));
    CHECK_FALSE(failures.note(1000, 0, kSecond));
    CHECK_FALSE(failures.pausing(1000, 0));
    failures.succeeded(3);
    CHECK(failures.note(1000, 0, kSecond));
    CHECK_FALSE(failures.note(1001, 0, kSecond));
    CHECK(failures.note(1001, 3 * Failures::kLongestPause, kSecond));  // the others were deleted long ago
}

TEST_CASE("the database has a place of its own") {
    Failures failures = {};
    CHECK(failures.note(Failures::kDatabase, 0, kSecond));
    failures.succeeded(Failures::kDatabase);
    for (std::int64_t stream = 1; stream <= 2 * Failures::kRoom; ++stream)
        CHECK(failures.note(stream, 0, kSecond) == (stream <= Failures::kRoom));
    CHECK(failures.note(Failures::kDatabase, 0, kSecond));
    CHECK_FALSE(failures.note(Failures::kDatabase, 0, kSecond));
    CHECK(failures.pausing(Failures::kRoom, 0));
}
