// The pure parts of rill serve: offsets, JSON messages, text in pieces, events, header fields.
#include "access_log.hpp"
#include "body_claim.hpp"
#include "event_framing.hpp"
#include "fields.hpp"
#include "json_messages.hpp"
#include "line_writer.hpp"
#include "offset.hpp"
#include "text_pieces.hpp"
#include "tokens.hpp"
#include "touches.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <unistd.h>

#include <doctest/doctest.h>

namespace {

using namespace rill::serve;
using rill::Position;
using Views = std::vector<std::string_view>;

TEST_CASE("serve: an offset is read back, and sorts as its chunk does") {
    CHECK(encode_offset({}) == "0000000000000000_0000000000000000");
    CHECK(encode_offset({.id = 26, .epoch = -1}) == "000000000000001a_00000001ffffffff");
    CHECK(encode_offset({.id = 26, .epoch = std::nullopt}) == "000000000000001a_0000000000000000");
    std::string before;
    for (const std::int64_t id : {std::int64_t{0}, std::int64_t{1}, std::int64_t{9}, std::int64_t{10},
                                  std::int64_t{255}, std::int64_t{1} << 40, INT64_MAX})
        for (const std::int32_t epoch : {INT32_MIN, -1, 0, 1, INT32_MAX}) {
            const Position position{.id = id, .epoch = id == 0 ? std::nullopt : std::optional(epoch)};
            const std::string token = encode_offset(position);
            CHECK(decode_offset(token) == position);
            if (epoch == INT32_MAX) {
                CHECK(before < token);
                before = token;
            }
        }
}

TEST_CASE("serve: what is no offset is refused") {
    for (const char *const token :
         {"", "-1", "now", "0", "0000000000000000", "0000000000000000_000000000000000",
          "0000000000000000-0000000000000000", "000000000000001A_0000000000000000", "8000000000000000_0000000000000000",
          "0000000000000001_0000000000000001", "0000000000000001_0000000200000000", "0000000000000000_0000000100000000",
          "000000000000001 _0000000000000000", "0000000000000001_00000000000000000"}) {
        CAPTURE(token);
        CHECK_FALSE(decode_offset(token));
    }
}

TEST_CASE("serve: a JSON body is cut into messages whose bytes stay") {
    CHECK(json_messages(R"( {"a" : 1.0e2,"a":"\u00e9"} )") == Views{R"({"a" : 1.0e2,"a":"\u00e9"})"});
    CHECK(json_messages(R"([ {"a":[1,2]} , "x]\",[" ,[3],-0.0 ])") ==
          Views{R"({"a":[1,2]})", R"("x]\",[")", "[3]", "-0.0"});
    CHECK(json_messages("[[[1]]]") == Views{"[[1]]"});
    CHECK(json_messages("[ ]") == Views{});
    CHECK(json_messages("\"\\\\\"") == Views{"\"\\\\\""});
    CHECK(json_messages("12345678901234567890123") == Views{"12345678901234567890123"});
    for (const char *const body :
         {"", " ", "{", "[1,]", "[1 2]", "{}{}", "nul", "'a'", "\xEF\xBB\xBF[1]", "\"\xff\"", "[1],"}) {
        CAPTURE(body);
        CHECK_FALSE(json_messages(body));
    }
    const std::string deep(1'000'000, '[');
    CHECK_FALSE(json_messages(deep));
    CHECK(json_messages(deep + std::string(1'000'000, ']'))->size() == 1);
    std::string many = "[1";
    for (std::size_t i = 1; i < kMostMessages; ++i)
        many += ",1";
    CHECK(json_messages(many + "]")->size() == kMostMessages);
    for (std::size_t i = 0; i < kMostMessages; ++i)
        many += ",1";
    CHECK(json_messages(many + "]")->size() == kMostMessages + 1);
    std::string array;
    append_json_message(array, "1");
    append_json_message(array, "{}");
    CHECK(array == "[1,{}");
}

TEST_CASE("serve: a long body is not cut within a character") {
    CHECK(cut_body("", 4).empty());
    CHECK(cut_body("abcd", 4) == Views{"abcd"});
    CHECK(cut_body("abc\xC3\xA9", 4) == Views{"abc", "\xC3\xA9"});
    CHECK(cut_body("a\xF0\x9F\x98\x80", 4) == Views{"a", "\xF0\x9F\x98\x80"});
    CHECK(cut_body("\xBF\xBF\xBF\xBF\xBF", 4) == Views{"\xBF\xBF\xBF\xBF", "\xBF"});
    const unsigned seed = std::random_device{}();
    CAPTURE(seed);
    std::minstd_rand random(seed);
    for (int turn = 0; turn < 2'000; ++turn) {
        std::string body;
        for (auto i = random() % 40; i > 0; --i)
            body += "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\xFF"[random() % 11];
        std::string joined;
        for (const std::string_view piece : cut_body(body, 4 + random() % 5)) {
            CHECK_FALSE(piece.empty());
            joined.append(piece);
        }
        CHECK(joined == body);
    }
}

TEST_CASE("serve: text that ends within a character, and text that is none") {
    CHECK(unfinished_bytes("") == 0);
    CHECK(unfinished_bytes("a") == 0);
    CHECK(unfinished_bytes("\xC3") == 1);
    CHECK(unfinished_bytes("a\xE2\x82") == 2);
    CHECK(unfinished_bytes("\xF0\x9F\x98") == 3);
    CHECK(unfinished_bytes("\xF0\x9F\x98\x80") == 0);
    CHECK(unfinished_bytes("\xE0\x80") == 0);  // overlong: never a character
    CHECK(unfinished_bytes("\xED\xA0") == 0);  // a surrogate
    CHECK(unfinished_bytes("\x80\x80") == 0);
    CHECK(unfinished_bytes("\xC0") == 0);
    CHECK(valid_utf8("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80") == "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
    CHECK(valid_utf8("a\xFF\xE2\x82z\xC3") == "a\xEF\xBF\xBD\xEF\xBF\xBDz\xEF\xBF\xBD");
}

TEST_CASE("serve: an event has a line for each line of its payload, whatever ends it") {
    CHECK(event("data", "a") == "event: data\ndata:a\n\n");
    CHECK(event("data", "") == "event: data\ndata:\n\n");
    CHECK(event("data", " a\n  b") == "event: data\ndata:  a\ndata:   b\n\n");
    CHECK(event("data", "a\nb\r\nc\rd\n") == "event: data\ndata:a\ndata:b\ndata:c\ndata:d\ndata:\n\n");
    CHECK(event("data", "x\n\nevent: control\ndata: {}") ==
          "event: data\ndata:x\ndata:\ndata:event: control\ndata:data: {}\n\n");
    CHECK(control_event({.next_offset = "1_2", .cursor = "3", .up_to_date = true}) ==
          "event: control\ndata:{\"streamNextOffset\":\"1_2\",\"streamCursor\":\"3\",\"upToDate\":true}\n\n");
    CHECK(base64("") == "");
    CHECK(base64("f") == "Zg==");
    CHECK(base64("fo") == "Zm8=");
    CHECK(base64("foo") == "Zm9v");
    CHECK(base64(std::string_view("\xff\x00\xfe\xfb", 4)) == "/wD++w==");
}

TEST_CASE("serve: parts of a request") {
    CHECK(percent_decoded("a%2Fb+%C3%a9") == "a/b+\xC3\xA9");
    CHECK_FALSE(percent_decoded("%"));
    CHECK_FALSE(percent_decoded("%2"));
    CHECK_FALSE(percent_decoded("%2g"));
    CHECK(query_values("offset=1&live=sse&offset=%2d1&x", "offset") == std::vector<std::string>{"1", "-1"});
    CHECK(query_values("offset", "offset") == std::vector<std::string>{""});
    CHECK(query_values("", "offset") == std::vector<std::string>{});
    CHECK_FALSE(query_values("offset=%", "offset"));
    CHECK(safe_integer("9007199254740991") == 9'007'199'254'740'991);
    CHECK(safe_integer("007") == 7);
    for (const char *const text : {"", "-1", "+1", "1.0", "1e3", " 1", "9007199254740992", "99999999999999999999"}) {
        CAPTURE(text);
        CHECK_FALSE(safe_integer(text));
        CHECK_FALSE(ttl_seconds(text));
    }
    CHECK(ttl_seconds("0") == 0);
    CHECK_FALSE(ttl_seconds("01"));
    CHECK(media_type(" Text/Plain ; charset=utf-8") == "text/plain");
    CHECK(is_content_type("application/vnd.x+json; a=\"b\""));
    for (const char *const text : {"", "text", "text/", "/plain", "te xt/plain", "text/plain\n"}) {
        CAPTURE(text);
        CHECK_FALSE(is_content_type(text));
    }
    CHECK(is_true("TRUE"));
    CHECK_FALSE(is_true("1"));
    CHECK_FALSE(is_true(std::nullopt));
    CHECK(matches_tag("\"a\", W/\"b\"", "\"b\""));
    CHECK(matches_tag("*", "\"b\""));
    CHECK_FALSE(matches_tag("\"ab\"", "\"b\""));
}

TEST_CASE("serve: times as in RFC 3339") {
    using namespace std::chrono;
    const sys_days day = year(2027) / 1 / 2;
    CHECK(rfc3339("2027-01-02T03:04:05Z") == day + hours(3) + minutes(4) + seconds(5));
    CHECK(rfc3339("2027-01-02T03:04:05.25+01:30") == day + hours(1) + minutes(34) + milliseconds(5250));
    CHECK(rfc3339("2027-01-02t03:04:05.123456789z") == day + hours(3) + minutes(4) + microseconds(5'123'456));
    for (const char *const text :
         {"", "2027-01-02", "2027-01-02T03:04:05", "2027-02-29T00:00:00Z", "2027-01-02T24:00:00Z",
          "2027-01-02T03:04:05.Z", "2027-01-02T03:04:05+1:00", "not-a-timestamp", "2027-01-02T03:04:05Zx",
          "9999-01-01T00:00:00Z", "1500-01-01T00:00:00Z", "0000-01-01T00:00:00Z"}) {
        CAPTURE(text);
        CHECK_FALSE(rfc3339(text));
    }
}

TEST_CASE("serve: bodies have one bound in common, and give back what they took") {
    const auto total = std::make_shared<std::size_t>(0);
    {
        BodyClaim first(total);
        CHECK(first.grow_to(0, 10));
        CHECK(first.grow_to(6, 10));
        BodyClaim second(total);
        CHECK_FALSE(second.grow_to(5, 10));
        CHECK(second.grow_to(4, 10));
        CHECK(first.grow_to(6, 10));
        CHECK_FALSE(first.grow_to(7, 10));
        CHECK_FALSE(first.grow_to(SIZE_MAX, 10));
        CHECK(*total == 10);
    }
    CHECK(*total == 0);
}

TEST_CASE("serve: a stream that is read is kept, whatever its time to live") {
    using namespace std::chrono;
    CHECK(keeping_interval(0) == milliseconds(200));
    CHECK(keeping_interval(1) == milliseconds(333));
    CHECK(keeping_interval(3600) == minutes(20));
    CHECK(keeping_interval(3 * 3600 + 1) == hours(1));
    CHECK(keeping_interval(INT64_MAX) == hours(1));

    Touches touches;
    const Touches::Time now{hours(1)};
    CHECK(touches.begin("a", 10, now));
    CHECK_FALSE(touches.begin("a", 10, now + minutes(1)));  // it is under way
    CHECK(touches.begin("b", 10, now));
    touches.end("a");
    CHECK_FALSE(touches.begin("a", 10, now + milliseconds(999)));
    CHECK(touches.begin("a", 10, now + seconds(1)));
    touches.end("a");
    CHECK(touches.begin("centuries", INT64_MAX, now));
    touches.end("centuries");
    CHECK_FALSE(touches.begin("centuries", INT64_MAX, now + minutes(59)));
    CHECK(touches.begin("centuries", INT64_MAX, now + hours(1)));
    for (int i = 0; i < 10'000; ++i) {
        const std::string name = "stream " + std::to_string(i);
        CHECK(touches.begin(name, 0, now + milliseconds(100 * i)));
        touches.end(name);
    }
    CHECK(touches.size() <= 2'000);  // what is long ago is forgotten
    CHECK_FALSE(touches.begin("b", 10, now + hours(2)));
}

TEST_CASE("serve: a cursor never goes back") {
    using namespace std::chrono;
    const system_clock::time_point now = sys_days(year(2024) / 10 / 9) + seconds(2'010);
    CHECK(next_cursor("", now, 0) == "100");
    CHECK(next_cursor("99", now, 0) == "100");
    CHECK(next_cursor("nonsense", now, 0) == "100");
    CHECK(next_cursor("100", now, 0) == "101");
    CHECK(next_cursor("500", now, 3599) == "680");
}

TEST_CASE("serve: a line of the access log has eight fields, whatever a client has sent") {
    using namespace std::chrono;
    AccessEntry entry{.time = sys_days(year(2026) / 11 / 5) + hours(3) + milliseconds(7)};
    CHECK(access_line(entry) == "2026-11-05T03:00:00.007Z - - - - - 0 0\n");
    entry.time = sys_days(year(1969) / 12 / 31) + hours(24) - milliseconds(1);
    entry.remote = "::1";
    entry.role = "a b%-";
    entry.method = "GET";
    entry.target = "/%20 \n\x7f\xff\"\\";
    entry.status = 200;
    entry.bytes = 12;
    entry.duration = milliseconds(345);
    CHECK(access_line(entry) == "1969-12-31T23:59:59.999Z ::1 a%20b%25- GET /%20%20%0A%7F%FF\"\\ 200 12 345\n");
    entry.role = "-";
    CHECK(access_line(entry).find(" ::1 %2D GET ") != std::string::npos);
    entry.role = entry.method = entry.target = entry.remote = std::string(20'000, '\n');
    entry.duration = milliseconds(INT64_MAX);
    CHECK(access_line(entry).size() <= 2048);

    CHECK(log_field(std::string_view("\0", 1), 3) == "%00");
    CHECK(log_field("abc", 3) == "abc");
    CHECK(log_field("abcd", 3) == "abc...");
    CHECK(log_field("ab\n", 4) == "ab...");
}

TEST_CASE("serve: lines are written in their order, and those that nobody takes are counted") {
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    const std::string line = std::string(999, 'x') + "\n";
    const auto begun = std::chrono::steady_clock::now();
    std::uint64_t dropped = 0;
    {
        LineWriter writer(ends[1]);
        // A pipe holds 64 kB, and the queue one MB.
        for (int i = 0; i < 3'000; ++i)
            writer.put(line, LineWriter::Kind::traffic);
        dropped = writer.dropped();
        CHECK(dropped > 1'000);
        writer.put("a report\n", LineWriter::Kind::report);
        CHECK(writer.dropped() == dropped);
        // Nobody ever reads: the end does not wait for it.
    }
    CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds(30));

    // Read again, the thread that was left behind goes on.
    std::string got;
    std::array<char, 4096> buffer{};
    while (got.find("a report\n") == std::string::npos) {
        const ssize_t size = ::read(ends[0], buffer.data(), buffer.size());
        REQUIRE(size > 0);
        got.append(buffer.data(), static_cast<std::size_t>(size));
    }
    CHECK(got.find("them: " + std::to_string(dropped) + "\n") != std::string::npos);

    // A reader that has gone.
    std::array<int, 2> broken{};
    REQUIRE(::pipe(broken.data()) == 0);
    ::close(broken[0]);
    {
        LineWriter writer(broken[1]);
        writer.put("lost\n", LineWriter::Kind::report);
        while (writer.dropped() == 0 && std::chrono::steady_clock::now() - begun < std::chrono::seconds(60))
            std::this_thread::yield();
        CHECK(writer.dropped() == 1);
    }
    ::close(broken[1]);
    ::close(ends[0]);  // ends[1] may be in use by the thread that was left behind
}

TEST_CASE("serve: tokens and their roles") {
    const Tokens tokens = Tokens::parse("# who\n\n0123456789abcdef  app\r\n\tfedcba9876543210\treader\n");
    CHECK(tokens.roles() == std::set<std::string>{"app", "reader"});
    CHECK(tokens.role_of("Bearer 0123456789abcdef") == "app");
    CHECK(tokens.role_of("bearer  fedcba9876543210 ") == "reader");
    for (const char *const header : {"", "Bearer", "Bearer ", "Bearer 0123456789abcdeF", "Bearer 0123456789abcde",
                                     "Bearer 0123456789abcdef0", "Basic 0123456789abcdef", "0123456789abcdef"}) {
        CAPTURE(header);
        CHECK_FALSE(tokens.role_of(header));
    }
    for (const char *const text : {"", "# none", "0123456789abcdef", "0123456789abcdef a b", "0123456789abcdef none",
                                   "short app", "0123456789abcdef a\n0123456789abcdef b", "0123456789abcde\x80 app"}) {
        CAPTURE(text);
        CHECK_THROWS_AS((void) Tokens::parse(text), std::runtime_error);
    }
}

}  // namespace
