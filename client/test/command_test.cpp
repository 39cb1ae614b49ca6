// The pure parts of the rill command: cutting input, places in a stream, JSON, text for terminals.
#include "connection.hpp"
#include "conninfo.hpp"
#include "format.hpp"
#include "from.hpp"
#include "json_lines.hpp"
#include "nearest.hpp"
#include "progress.hpp"
#include "splitter.hpp"
#include "terminal_text.hpp"
#include "utf8.hpp"
#include "rill/error.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

using namespace rill::cli;

namespace {

std::vector<std::string> split(const std::vector<std::string> &pieces, std::size_t size = 0) {
    std::vector<std::string> chunks;
    const auto take = [&](std::string_view chunk) { chunks.emplace_back(chunk); };
    Splitter splitter(size);
    for (const auto &piece : pieces)
        splitter.feed(piece, take);
    splitter.finish(take);
    return chunks;
}

}  // namespace

TEST_CASE("each line is a chunk with its newline, wherever the input was split") {
    using Chunks = std::vector<std::string>;
    CHECK(split({"a\nb", "c\n", "\n", "d"}) == Chunks{"a\n", "bc\n", "\n", "d"});
    CHECK(split({"", ""}).empty());
    CHECK(split({std::string("x\0y\n", 4)}) == Chunks{std::string("x\0y\n", 4)});
    CHECK(split({"abc", "defg"}, 2) == Chunks{"ab", "cd", "ef", "g"});
}

TEST_CASE("the chunks joined are the input") {
    rill::test::Random random(3);
    for (int i = 0; i < 2'000; ++i) {
        std::vector<std::string> pieces;
        std::string all;
        for (std::size_t n = random.below(6); n > 0; --n) {
            std::string piece = random.bytes(random.below(20));
            if (random.one_in(2))
                piece += '\n';
            pieces.push_back(piece);
            all += piece;
        }
        const std::size_t size = random.below(4);
        std::string joined;
        for (const auto &chunk : split(pieces, size)) {
            joined += chunk;
            REQUIRE(!chunk.empty());
            REQUIRE((size == 0 || chunk.size() <= size));
        }
        REQUIRE(joined == all);
    }
}

TEST_CASE("--from takes start, now, last:N, skip:N and id:N, and leaves the rest to the server as a time") {
    CHECK(parse_from("start")->kind == From::Kind::start);
    CHECK(parse_from("now")->kind == From::Kind::now);
    CHECK(parse_from("last:3") == From{.kind = From::Kind::last, .number = 3});
    CHECK(parse_from("skip:3") == From{.kind = From::Kind::skip, .number = 3});
    CHECK(parse_from("id:0") == From{.kind = From::Kind::id, .number = 0});
    CHECK(parse_from("2026-01-01 10:00") == From{.kind = From::Kind::time, .number = 0, .time = "2026-01-01 10:00"});
    for (const char *const bad :
         {"", "last:", "last:x", "last:-1", "skip:", "skip:-1", "id:1x", "id:99999999999999999999"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_from(bad));
    }
}

TEST_CASE("--before takes an id, last:N or a time") {
    CHECK(parse_before("12") == From{.kind = From::Kind::id, .number = 12});
    CHECK(parse_before("last:0") == From{.kind = From::Kind::last, .number = 0});
    CHECK(parse_before("2026-01-01")->kind == From::Kind::time);
    for (const char *const bad : {"", "-1", "last:", "last:-1", "99999999999999999999"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_before(bad));
    }
}

TEST_CASE("a mistyped word is near the one that was meant, and nonsense is near none") {
    const std::vector<std::string> known{"append", "close", "tail", "create", "trim",
                                         "delete", "ls",    "info", "top",    "serve"};
    CHECK(nearest("tial", known) == "tail");
    CHECK(nearest("tails", known) == "tail");
    CHECK(nearest("apend", known) == "append");
    CHECK(nearest("del", known) == "delete");
    CHECK(nearest("l", known) == "ls");
    CHECK_FALSE(nearest("nonsense", known));
    CHECK_FALSE(nearest("", known));
    CHECK_FALSE(nearest(std::string(1'000'000, 'x'), known));
    CHECK(unknown("command", "tial", known) == "unknown command \"tial\"; did you mean \"tail\"?");
    CHECK(unknown("option", "-x", {"-f", "--from"}) == "unknown option \"-x\"");
}

TEST_CASE("JSON has the data as text when it is UTF-8, else as base64") {
    const std::string text = "gr\u00fcn \"quoted\"\n";
    rill::Chunk chunk;
    chunk.id = 7;
    chunk.data = std::as_bytes(std::span<const char>(text));
    CHECK(json_line("s", chunk) ==
          "{\"stream\":\"s\",\"id\":7,\"appended_at\":\"1970-01-01T00:00:00.000000Z\",\"epoch\":0,"
          "\"eof\":false,\"data\":\"gr\u00fcn \\\"quoted\\\"\\n\"}\n");
    const std::string binary("\xff\0\x01", 3);
    chunk.data = std::as_bytes(std::span<const char>(binary));
    CHECK(json_line("s", chunk).find("\"data_base64\":\"/wAB\"") != std::string::npos);
    CHECK(json_end("s", 8) == "{\"stream\":\"s\",\"id\":8,\"eof\":true}\n");
}

TEST_CASE("UTF-8 is checked strictly") {
    for (const char *const good : {"", "abc", "\u00e4\u20ac", "\xf4\x8f\xbf\xbf"})
        CHECK(is_utf8(good));
    for (const char *const bad :
         {"\xff", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe4", "\xe2\x82"})
        CHECK_FALSE(is_utf8(bad));
}

TEST_CASE("base64 is padded, and times are ISO 8601") {
    const auto encoded = [](std::string_view text) { return base64(std::as_bytes(std::span<const char>(text))); };
    CHECK(encoded("") == "");
    CHECK(encoded("f") == "Zg==");
    CHECK(encoded("fo") == "Zm8=");
    CHECK(encoded("foo") == "Zm9v");
    using namespace std::chrono;
    CHECK(iso_time(system_clock::time_point(sys_days(year(2026) / 2 / 28)) + 1h + 2us) ==
          "2026-02-28T01:00:00.000002Z");
    CHECK(iso_time(system_clock::time_point(sys_days(year(1969) / 12 / 31)) + 23h) == "1969-12-31T23:00:00.000000Z");
}

TEST_CASE("names and messages can neither control a terminal nor hide in it") {
    CHECK(printable("a\x1b[0m\n\x7f") == "a\\x1b[0m\\x0a\\x7f");
    CHECK(printable("gr\u00fcn \u6c34 \U0001f600 e\u0301") == "gr\u00fcn \u6c34 \U0001f600 e\u0301");
    CHECK(printable("\u009b31m\u0085") == "\\u009b31m\\u0085");
    CHECK(printable("a\u202etxt.exe\u2066\u200f\u061c\u2028\ufeff\u200b") ==
          "a\\u202etxt.exe\\u2066\\u200f\\u061c\\u2028\\ufeff\\u200b");
    CHECK(printable("\U000e0041") == "\\U000e0041");
    CHECK(printable("\x9b"
                    "31m\xff\xe2\x82") == "\\x9b31m\\xff\\xe2\\x82");
    CHECK(printable("\u00e4\u6c34", Charset::ascii) == "\\u00e4\\u6c34");
    // Whatever the bytes: what comes out is UTF-8 without any control character, and printing it again changes nothing.
    rill::test::Random random(5);
    for (int i = 0; i < 5'000; ++i) {
        std::string text = random.bytes(random.below(12));
        if (random.one_in(2))
            text += "\u009b\u202e";
        const std::string shown = printable(text);
        REQUIRE(is_utf8(shown));
        REQUIRE(printable(shown) == shown);
    }
}

TEST_CASE("widths are those of a terminal's columns") {
    CHECK(columns("abc") == 3);
    CHECK(columns("\u6c34e\u0301") == 3);
    CHECK(fitted("abc", 5) == "abc  ");
    CHECK(fitted("abcdef", 4) == "abc\u2026");
    CHECK(fitted("abcdef", 4, Charset::ascii) == "abc~");
    CHECK(fitted("\u6c34\u6c34\u6c34", 4) == "\u6c34\u2026 ");
    CHECK(fitted("abc", 0).empty());
    for (std::size_t width = 0; width < 10; ++width)
        CHECK(columns(fitted("a\u6c34b\u6c34c", width)) == width);
}

TEST_CASE("a progress bar stays on its line, however narrow the terminal") {
    CHECK(progress_text(50, 100, 12.34, 80) == "[###############               ]  50 %  12.3 MB/s ");
    CHECK(progress_text(200, 100, 1, 30) == "[##########] 100 %  1.0 MB/s ");
    for (std::size_t columns = 0; columns < 90; ++columns)
        CHECK(progress_text(1, 3, 12'345.6, columns).size() < std::max<std::size_t>(columns, 1));
}

TEST_CASE("the command's connection options override its connection string, as psql's do") {
    const rill::detail::Conninfo used(
        conninfo({.host = "it's", .port = "1", .user = "", .database = "postgresql://u@h/d"}));
    CHECK(used.value("host") == "it's");
    CHECK(used.value("port") == "1");
    CHECK(used.value("user") == "u");
    CHECK(used.value("dbname") == "d");
    CHECK(rill::detail::Conninfo(conninfo({.host = "", .port = "", .user = "", .database = "d b"})).value("dbname") ==
          "d b");
    CHECK_THROWS_AS((void) conninfo({.host = "", .port = "", .user = "", .database = "a=b"}), rill::Error);
}
