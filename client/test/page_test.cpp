// The page decoder: what a well-formed page means, and that everything else is rejected.
#include "page.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <vector>

namespace {

using rill::detail::PageChunk;
using rill::detail::PageReader;
using rill::detail::summarize;
using Step = PageReader::Step;

std::string varint(std::uint64_t value) {
    std::string out;
    for (; value >= 0x80; value >>= 7)
        out += static_cast<char>(value | 0x80);
    return out + static_cast<char>(value);
}

std::uint64_t zigzag(std::int64_t value) {
    return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}

struct Made {
    std::int64_t id;
    std::int32_t epoch;
    std::int64_t at;
    bool eof;
    std::string data;
};

// Written from the description of the format, not from the decoder.
std::string make_page(const std::vector<Made> &chunks) {
    std::string page = "\1" + varint(chunks.size());
    Made before{0, 0, 0, false, ""};
    for (std::size_t i = 0; i < chunks.size(); ++i) {
        const Made &chunk = chunks[i];
        const bool with_epoch = i == 0 || chunk.epoch != before.epoch;
        page += static_cast<char>((chunk.eof ? 1 : 0) | (with_epoch ? 2 : 0));
        page += varint(static_cast<std::uint64_t>(chunk.id - before.id));
        const auto epoch = static_cast<std::uint32_t>(chunk.epoch);
        for (unsigned k = 0; with_epoch && k < 4; ++k)
            page += static_cast<char>(epoch >> (8 * k) & 0xff);
        page += varint(zigzag(chunk.at - before.at));
        page += varint(chunk.data.size()) + chunk.data;
        before = chunk;
    }
    return page;
}

std::span<const std::byte> bytes(const std::string &text) { return std::as_bytes(std::span<const char>(text)); }

std::string_view text(std::span<const std::byte> data) {
    return {reinterpret_cast<const char *>(data.data()), data.size()};
}

}  // namespace

TEST_CASE("a page decodes to what was encoded") {
    const std::vector<Made> chunks{{1, -7, 700'000'000'000'000, false, "hello"},
                                   {2, -7, 700'000'000'000'123, false, std::string("\0\xff", 2)},
                                   {9, 44, 699'999'999'999'999, false, ""},
                                   {std::numeric_limits<std::int64_t>::max(), 44, -5, true, "end"}};
    const std::string page = make_page(chunks);
    PageReader reader(bytes(page));
    CHECK(reader.left() == 4);
    for (const Made &expected : chunks) {
        PageChunk chunk;
        REQUIRE(reader.next(chunk) == Step::chunk);
        CHECK(chunk.id == expected.id);
        CHECK(chunk.epoch == expected.epoch);
        CHECK(chunk.appended_at == expected.at);
        CHECK(chunk.eof == expected.eof);
        CHECK(text(chunk.data) == expected.data);
    }
    PageChunk none;
    CHECK(reader.next(none) == Step::end);
    CHECK(reader.next(none) == Step::end);
}

TEST_CASE("a summary has the first chunk, the last chunk and the totals") {
    const std::string page = make_page({{5, 1, 10, false, "abc"}, {7, 2, 20, false, "de"}});
    const auto summary = summarize(bytes(page));
    REQUIRE(summary);
    CHECK(summary->chunks == 2);
    CHECK(summary->bytes == 5);
    CHECK(summary->first.id == 5);
    CHECK(summary->last.id == 7);
    CHECK(summary->last.epoch == 2);
}

TEST_CASE("every truncation of a page is malformed") {
    const std::string page = make_page({{1, 3, 1'000'000, false, "hello"}, {300, 3, 900'000, true, "world"}});
    REQUIRE(summarize(bytes(page)));
    for (std::size_t size = 0; size < page.size(); ++size) {
        const std::string part = page.substr(0, size);
        CAPTURE(size);
        CHECK_FALSE(summarize(bytes(part)));
    }
}

TEST_CASE("anything but a page of version 1 is malformed") {
    const std::string good = make_page({{1, 3, 0, false, "x"}});
    REQUIRE(summarize(bytes(good)));
    const auto malformed = [](const std::string &page) { return !summarize(bytes(page)).has_value(); };
    CHECK(malformed(""));
    CHECK(malformed("\2" + good.substr(1)));
    CHECK(malformed(good + "x"));  // trailing bytes
    std::string flags = good;
    flags[2] = '\6';
    CHECK(malformed(flags));  // an unknown flag
    flags[2] = '\0';
    CHECK(malformed(flags));  // no epoch in the first chunk

    const std::string head = std::string("\1\1\2", 3);
    const std::string epoch(4, '\0');
    CHECK_FALSE(malformed(head + "\1" + epoch + std::string(2, '\0')));
    CHECK(malformed(head + std::string(1, '\0') + epoch + std::string(2, '\0')));            // id step 0
    CHECK(malformed(head + std::string(9, '\xff') + "\1" + epoch + std::string(2, '\0')));   // id overflows
    CHECK(malformed(head + std::string(10, '\x80') + "\1" + epoch + std::string(2, '\0')));  // varint of 11 bytes
    CHECK(malformed(head + std::string(9, '\x80') + "\2" + epoch + std::string(2, '\0')));   // varint over 64 bits
    CHECK(malformed(head + "\1" + epoch + std::string(1, '\0') + std::string(9, '\xff') + "\1"));  // length
}

TEST_CASE("a padded varint is accepted, since the server pads the count") {
    const std::string good = make_page({{1, 3, 0, false, "x"}});
    const std::string padded = std::string("\1\x81\x80\x80\x80\0", 6) + good.substr(2);
    CHECK(summarize(bytes(padded)));
}

TEST_CASE("nothing may follow the EOF, and times must not overflow") {
    CHECK_FALSE(summarize(bytes(make_page({{1, 3, 0, true, "x"}, {2, 3, 0, false, "y"}}))));
    const std::string page = std::string("\1\2\2\1\0\0\0\0", 8) +
                             varint(zigzag(std::numeric_limits<std::int64_t>::max())) + std::string("\0\0\1", 3) +
                             varint(zigzag(1)) + std::string(1, '\0');
    CHECK_FALSE(summarize(bytes(page)));
}

TEST_CASE("random bytes and damaged pages never cause a read outside the page") {
    rill::test::Random random(1);
    for (int i = 0; i < 20'000; ++i) {
        // On the heap with its exact size, so that a sanitizer sees a read outside.
        std::string source = random.bytes(random.below(64));
        if (random.one_in(2)) {
            std::vector<Made> chunks;
            std::int64_t id = 0;
            for (std::size_t n = random.below(5); n > 0; --n)
                chunks.push_back({id += 1 + static_cast<std::int64_t>(random.below(1000)), 7,
                                  static_cast<std::int64_t>(random.below(1'000'000)), false,
                                  random.bytes(random.below(9))});
            source = make_page(chunks);
            for (std::size_t n = random.below(3); n > 0; --n)
                source[random.below(source.size())] = static_cast<char>(random.below(256));
        } else if (!source.empty()) {
            source[0] = '\1';
        }
        const std::vector<char> page(source.begin(), source.end());
        PageReader reader(std::as_bytes(std::span<const char>(page)));
        PageChunk chunk;
        std::int64_t last = 0;
        std::size_t sum = 0;
        while (reader.next(chunk) == Step::chunk) {
            REQUIRE(chunk.id > last);
            last = chunk.id;
            for (const std::byte b : chunk.data)
                sum += std::to_integer<std::size_t>(b);
        }
        REQUIRE(sum <= page.size() * 255);
    }
}
