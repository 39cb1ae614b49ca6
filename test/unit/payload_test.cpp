// NOTIFY payloads: the client's parser reads what the notifier's formatter writes, and no id is lost at the end of a
// full payload.
#include "core/payload.hpp"
#include "payload.hpp"
#include "random.hpp"

#include <cstring>
#include <limits>
#include <vector>

namespace {

std::vector<std::int64_t> parse(const char *payload) {
    std::vector<std::int64_t> ids;
    REQUIRE(rill::detail::parse_payload(payload, [&](std::int64_t id) { ids.push_back(id); }));
    return ids;
}

}  // namespace

TEST_CASE("everything is not a list of ids") {
    CHECK_FALSE(rill::detail::parse_payload(rill::core::kEverything, [](std::int64_t) {}));
}

TEST_CASE("a payload ends before the buffer does") {
    const std::int64_t ids[] = {12, 345, 6};
    char buffer[7];
    CHECK(rill::core::format_payload(ids, 0, 3, buffer, 7) == 2);  // "12,345" and its NUL fill it
    CHECK(std::strcmp(buffer, "12,345") == 0);
    CHECK(rill::core::format_payload(ids, 0, 3, buffer, 6) == 1);  // no number is truncated
    CHECK(std::strcmp(buffer, "12") == 0);
    CHECK(rill::core::format_payload(ids, 2, 3, buffer, 7) == 3);
    CHECK(std::strcmp(buffer, "6") == 0);
    CHECK(rill::core::format_payload(ids, 3, 3, buffer, 7) == 3);
    CHECK(std::strcmp(buffer, "") == 0);
}

TEST_CASE("the client reads every id, in payloads of any size") {
    RILL_INFO_SEED();
    rill::test::Random random;
    for (int round = 0; round < 2000; ++round) {
        std::vector<std::int64_t> ids(1 + random.upto(60));
        for (std::int64_t &id : ids)
            id = random.chance(5) ? std::numeric_limits<std::int64_t>::max()
                                  : 1 + static_cast<std::int64_t>(random.any() >> 1) / 2;
        std::vector<char> buffer(21 + random.upto(100));
        std::vector<std::int64_t> got;
        for (std::size_t next = 0; next < ids.size();) {
            const std::size_t after =
                rill::core::format_payload(ids.data(), next, ids.size(), buffer.data(), buffer.size());
            REQUIRE(after > next);
            REQUIRE(std::memchr(buffer.data(), '\0', buffer.size()) != nullptr);
            const std::vector<std::int64_t> part = parse(buffer.data());
            REQUIRE(part.size() == after - next);
            got.insert(got.end(), part.begin(), part.end());
            next = after;
        }
        REQUIRE(got == ids);
    }
}
