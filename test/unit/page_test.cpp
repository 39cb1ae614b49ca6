// The server's page writer against the client's decoder: the client reads exactly what the server writes.
#include "core/page.hpp"
#include "page.hpp"
#include "random.hpp"

#include <limits>
#include <string>
#include <vector>

namespace {

struct Sink {
    std::vector<std::uint8_t> bytes = std::vector<std::uint8_t>(rill::core::kPageHeaderSize);
    std::size_t used = rill::core::kPageHeaderSize;
    std::uint8_t *room(std::size_t size) {
        bytes.resize(used +
                     size);  // no more than requested: a writer that needs more is caught by the sanitizer or below
        return bytes.data() + used;
    }
    void filled(std::uint8_t *end) {
        used = static_cast<std::size_t>(end - bytes.data());
        REQUIRE(used <= bytes.size());
    }
};

struct Chunk {
    std::int64_t id;
    std::int32_t epoch;
    std::int64_t at;
    bool eof;
    std::string data;
};

std::vector<std::uint8_t> write(const std::vector<Chunk> &chunks) {
    Sink sink;
    rill::core::PageWriter<Sink> writer(sink);
    for (const Chunk &chunk : chunks)
        writer.add(chunk.id, chunk.epoch, chunk.at, chunk.eof, chunk.data.data(), chunk.data.size());
    REQUIRE(writer.count() == chunks.size());
    rill::core::put_page_header(sink.bytes.data(), writer.count());
    sink.bytes.resize(sink.used);
    return sink.bytes;
}

void check_reads_back(const std::vector<Chunk> &chunks) {
    using rill::detail::PageReader;
    const std::vector<std::uint8_t> page = write(chunks);
    PageReader reader(std::as_bytes(std::span(page)));
    REQUIRE(reader.left() == chunks.size());
    rill::detail::PageChunk got;
    for (const Chunk &chunk : chunks) {
        REQUIRE(reader.next(got) == PageReader::Step::chunk);
        REQUIRE(got.id == chunk.id);
        REQUIRE(got.epoch == chunk.epoch);
        REQUIRE(got.appended_at == chunk.at);
        REQUIRE(got.eof == chunk.eof);
        REQUIRE(std::string(reinterpret_cast<const char *>(got.data.data()), got.data.size()) == chunk.data);
    }
    REQUIRE(reader.next(got) == PageReader::Step::end);
}

}  // namespace

TEST_CASE("the client reads what the server writes") {
    check_reads_back({});
    check_reads_back({{1, 0, 0, false, ""}});
    check_reads_back({{1, -1, -1, false, std::string("\0\xff", 2)}, {2, -1, -1, true, ""}});
    check_reads_back({{std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int32_t>::min(),
                       std::numeric_limits<std::int64_t>::max(), true, std::string(200, 'x')}});
    // The longest possible steps, a step back in time, and an epoch that changes twice.
    check_reads_back(
        {{1, 5, 1'000'000'000'000'000, false, "a"}, {2, 6, -1'000'000'000'000'000, false, "b"}, {3, 5, 0, false, "c"}});
}

TEST_CASE("the count has room for any number of chunks") {
    for (const std::uint32_t count : {0U, 1U, 127U, 128U, 1'000'000U, std::numeric_limits<std::uint32_t>::max()}) {
        std::vector<std::uint8_t> header(rill::core::kPageHeaderSize);
        rill::core::put_page_header(header.data(), count);
        CHECK(rill::detail::PageReader(std::as_bytes(std::span(header))).left() == count);
    }
}

TEST_CASE("the client reads what the server writes, at random") {
    RILL_INFO_SEED();
    rill::test::Random random;
    for (int round = 0; round < 2000; ++round) {
        std::vector<Chunk> chunks;
        std::int64_t id = 0;
        for (std::uint64_t left = random.upto(20); left > 0; --left) {
            id += 1 + static_cast<std::int64_t>(random.chance(80) ? random.upto(2) : random.any() >> 8);
            const auto at = static_cast<std::int64_t>(random.any() >> 2) * (random.chance(50) ? 1 : -1);
            const auto epoch =
                static_cast<std::int32_t>(random.chance(70) && !chunks.empty() ? chunks.back().epoch : random.any());
            std::string data(random.chance(95) ? random.upto(40) : random.upto(20000), static_cast<char>(random.any()));
            chunks.push_back({id, epoch, at, left == 1 && random.chance(30), std::move(data)});
        }
        check_reads_back(chunks);
    }
}
