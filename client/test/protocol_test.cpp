// What goes over the wire, beside pages: NOTIFY payloads, binary parameters, times, messages.
#include "message_text.hpp"
#include "params.hpp"
#include "payload.hpp"
#include "pq.hpp"
#include "server_time.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using namespace rill::detail;

TEST_CASE("a payload is ids joined by commas; anything else means every stream") {
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

TEST_CASE("server times are exact, and become system_clock's bounds beyond its range") {
    using std::chrono::system_clock;
    CHECK(from_server_time(0) == system_clock::from_time_t(946'684'800));
    CHECK(from_server_time(123'456) - from_server_time(0) == 123'456us);
    CHECK(to_server_time(from_server_time(-987'654'321)) == -987'654'321);
    CHECK(from_server_time(std::numeric_limits<std::int64_t>::max()) > from_server_time(8'000'000'000'000'000));
    CHECK(from_server_time(std::numeric_limits<std::int64_t>::min()) < from_server_time(-8'000'000'000'000'000));
}

TEST_CASE("messages become one line, and only failures without effect are transient") {
    CHECK(one_line("stream \"a\nb\" is\n\tclosed\n") == "stream \"a b\" is closed");
    CHECK(joined_lines("refused\n\tIs it running?\nalso refused\nFATAL:  no\nHINT:  wait\n") ==
          "refused (Is it running?); also refused; FATAL:  no; HINT:  wait");
    CHECK(joined_lines("\n").empty());
    CHECK(is_transient("40001"));
    CHECK(is_transient("57P03"));
    CHECK_FALSE(is_transient("RL001"));
    CHECK_FALSE(is_transient("22023"));
    CHECK_FALSE(is_transient(""));
}
