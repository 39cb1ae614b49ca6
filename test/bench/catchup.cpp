// catchup KIND STREAM CHUNKS PAGE: reads the first CHUNKS chunks of a stream, PAGE at a time, and accesses every one.
// Connecting does not count; the time runs from the first request to the last chunk.
//   client      librill, its read-ahead included
//   read_since  stream_read_since through libpq, binary
//   plain       SELECT … WHERE chunk_id > $2 ORDER BY chunk_id LIMIT $3 on plain_chunk through libpq, binary
#include "rivals.hpp"

#include <rill/rill.hpp>

#include <cstdio>
#include <map>
#include <string>

namespace bench {

namespace {

struct Sum {
    long chunks = 0;
    std::uint64_t bytes = 0;
    double seconds = 0;
};

Sum by_client(int stream, long chunks, int page) {
    rill::Options options;
    options.fetch_chunks = page;
    options.buffer_chunks = static_cast<std::size_t>(page) * 2;
    rill::Client client("", options);
    Sum sum;
    const auto start = Clock::now();
    rill::Reader reader = client.read(stream_name(stream), rill::from_start());
    for (; sum.chunks < chunks; ++sum.chunks)
        sum.bytes += reader.next().value().data.size();
    sum.seconds = seconds_since(start);
    return sum;
}

Sum by_rows(const char *sql, const std::string &which, long chunks, int page) {
    Session session;
    session.prepare("page", sql);
    Sum sum;
    std::int64_t cursor = 0;
    const auto start = Clock::now();
    while (sum.chunks < chunks) {
        const Result result =
            session.execute("page", std::array<std::string, 3>{which, std::to_string(cursor), std::to_string(page)});
        const int rows = PQntuples(result.get());
        if (rows == 0)
            throw std::runtime_error("there are only " + std::to_string(sum.chunks) + " chunks");
        for (int i = 0; i < rows; ++i) {
            cursor = int64_at(result.get(), i, 0);
            sum.bytes += bytes_at(result.get(), i, 1).size();
        }
        sum.chunks += rows;
    }
    sum.seconds = seconds_since(start);
    return sum;
}

Sum by_read_since(int stream, long chunks, int page) {
    return by_rows("SELECT chunk_id, data FROM stream_read_since($1, $2, $3, 1073741824)", stream_name(stream), chunks,
                   page);
}

Sum by_select(int stream, long chunks, int page) {
    return by_rows(
        "SELECT chunk_id, data FROM plain_chunk WHERE stream_id = $1 AND chunk_id > $2 ORDER BY chunk_id LIMIT $3",
        std::to_string(stream), chunks, page);
}

}  // namespace

int catchup(const Arguments &arguments) {
    const std::map<std::string, Sum (*)(int, long, int)> kinds = {
        {"client", by_client}, {"read_since", by_read_since}, {"plain", by_select}};
    if (arguments.size() != 4 || !kinds.contains(arguments[0]))
        throw std::runtime_error("usage: catchup client|read_since|plain STREAM CHUNKS PAGE");
    const Sum sum = kinds.at(arguments[0])(std::stoi(arguments[1]), std::stol(arguments[2]), std::stoi(arguments[3]));
    std::printf("{\"chunks\": %ld, \"bytes\": %llu, \"seconds\": %.6f}\n", sum.chunks,
                static_cast<unsigned long long>(sum.bytes), sum.seconds);
    return 0;
}

}  // namespace bench
