// Readers of a real server while all connections work.
#include "server.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <numeric>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using namespace rill::test;
using rill::Client;

TEST_SUITE("server" * doctest::skip(no_server())) {
    TEST_CASE("what was appended is read byte for byte, up to the end") {
        Client client(conninfo());
        const auto stream = unique("bytes");
        const std::string binary("\0\xff\n'\\\x80", 6);
        CHECK(client.append(stream, "hello") == 1);
        CHECK(client.append(stream, binary) == 2);
        CHECK(client.append(stream, "") == 3);
        CHECK(client.close_stream(stream) == 4);
        CHECK(client.close_stream(stream) == 4);

        auto reader = client.read(stream);
        const auto first = next_chunk(reader);
        CHECK(first.id == 1);
        CHECK(first.text() == "hello");
        CHECK_FALSE(first.eof);
        CHECK(std::chrono::abs(std::chrono::system_clock::now() - first.appended_at) < 1h);
        CHECK(next_chunk(reader).text() == binary);
        CHECK(next_chunk(reader).text().empty());
        CHECK_FALSE(reader.next());
        CHECK(reader.ended());
        CHECK_FALSE(reader.next(0ms));
        CHECK(first.text() == "hello");
        CHECK(eventually([&] { return client.stats().readers == 0; }));
    }

    TEST_CASE("an EOF with data is returned as the last chunk") {
        Client client(conninfo());
        const auto stream = unique("eof");
        client.append(stream, "last", {.eof = true});
        auto reader = client.read(stream);
        const auto chunk = next_chunk(reader);
        CHECK(chunk.eof);
        CHECK(chunk.text() == "last");
        CHECK_FALSE(reader.next());
        CHECK(reader.ended());
    }

    TEST_CASE("only_new() begins behind what existed when read() returned") {
        Client client(conninfo());
        const auto stream = unique("only-new");
        client.append(stream, "old");
        auto reader = client.read(stream, rill::only_new());
        client.append(stream, "new");
        CHECK(next_chunk(reader).text() == "new");
    }

    TEST_CASE("a stored position resumes behind it, even at the end of the stream") {
        Client client(conninfo());
        const auto stream = unique("resume");
        for (const char *const data : {"a", "b", "c"})
            client.append(stream, data);
        client.close_stream(stream);
        auto first = client.read(stream);
        CHECK(next_chunk(first).text() == "a");
        const auto position = first.position();
        REQUIRE(position.epoch);
        auto second = client.read(stream, rill::after(position.id, *position.epoch));
        CHECK(read_all(second) == "bc");
        const auto end = second.position();
        CHECK(end.id == 4);
        for (const auto start : {rill::after(end.id), rill::after(end)}) {
            auto third = client.read(stream, start);
            CHECK(read_all(third).empty());
        }
    }

    TEST_CASE("a reader that resumes at the head of an open stream continues with what comes") {
        Client client(conninfo());
        const auto stream = unique("resume-open");
        client.append(stream, "a");
        auto reader = client.read(stream, rill::after(1));
        CHECK_FALSE(reader.next(0ms));
        client.append(stream, "b");
        CHECK(next_chunk(reader).id == 2);
    }

    TEST_CASE("a bad cursor ends only its own reader, with the server's SQLSTATE") {
        Client client(conninfo());
        const auto stream = unique("cursor");
        client.append(stream, "a");
        auto good = client.read(stream);
        auto ahead = client.read(stream, rill::after(1000));
        auto missing = client.read(unique("missing"), rill::after(5));
        const std::int32_t epoch = next_chunk(good).epoch;
        auto diverged = client.read(stream, rill::after(1, epoch ^ 1));
        CHECK(sqlstate_of([&] { (void) ahead.next(); }) == "RL003");
        CHECK(sqlstate_of([&] { (void) ahead.next(); }) == "RL003");
        CHECK(sqlstate_of([&] { (void) missing.next(); }) == "RL007");
        CHECK(sqlstate_of([&] { (void) diverged.next(); }) == "RL003");
        client.append(stream, "b");
        CHECK(next_chunk(good).text() == "b");
    }

    TEST_CASE("another history behind an unbroken connection (a pooler, a promotion) is noticed before it is read") {
        Client client(conninfo());
        Admin admin;
        const auto stream = unique("promoted");
        client.append(stream, "a");
        auto reader = client.read(stream);
        CHECK(next_chunk(reader).text() == "a");
        // As if the chunk had been lost and stored again, with another behind it, by another run of the server.
        admin("BEGIN");
        admin("SELECT " + admin.schema() + "stream_append('" + stream + "', 'b')");
        admin("UPDATE " + admin.schema() +
              "stream_chunk SET epoch = epoch # 1 WHERE stream_id = (SELECT stream_id FROM " + admin.schema() +
              "stream WHERE name = '" + stream + "')");
        admin("COMMIT");
        CHECK(sqlstate_of([&] { (void) reader.next(60s); }) == "RL003");
    }

    TEST_CASE("reading continues across a server restart, which changes the epoch") {
        Client client(conninfo());
        Admin admin;
        const auto stream = unique("restarted");
        client.append(stream, "a");
        auto reader = client.read(stream);
        CHECK(next_chunk(reader).text() == "a");
        admin("BEGIN");
        admin("SELECT " + admin.schema() + "stream_append('" + stream + "', 'b')");
        admin("UPDATE " + admin.schema() +
              "stream_chunk SET epoch = epoch # 1 WHERE chunk_id = 2 AND stream_id = "
              "(SELECT stream_id FROM " +
              admin.schema() + "stream WHERE name = '" + stream + "')");
        admin("COMMIT");
        CHECK(next_chunk(reader).text() == "b");
        client.append(stream, "c", {.eof = true});
        CHECK(read_all(reader) == "c");
    }

    TEST_CASE("a name that the server rejects fails only its own reader") {
        Client client(conninfo());
        std::vector<rill::Reader> readers;
        std::vector<std::string> names;
        for (int i = 0; i < 9; ++i) {
            names.push_back(unique("fine"));
            client.append(names.back(), "x", {.eof = true});
        }
        auto bad = client.read("not utf-8: \xff");
        for (const auto &name : names)
            readers.push_back(client.read(name));
        CHECK(sqlstate_of([&] { (void) bad.next(); }) == "22021");
        for (auto &reader : readers)
            CHECK(read_all(reader) == "x");
    }

    TEST_CASE("a timeout is neither the end nor an error") {
        Client client(conninfo());
        auto reader = client.read(unique("timeout"));
        CHECK_FALSE(reader.next(1ms));
        CHECK_FALSE(reader.ended());
        CHECK_FALSE(reader.stopped());
    }

    TEST_CASE("a reader that is assigned to another stops the other and continues in its place") {
        Client client(conninfo());
        const auto first = unique("assign-a");
        const auto second = unique("assign-b");
        CHECK(client.append(first, "first") == 1);
        CHECK(client.append(second, "one") == 1);
        auto reader = client.read(first);
        auto other = client.read(second);
        CHECK(next_chunk(other).text() == "one");
        reader = std::move(other);
        CHECK(reader.stream() == second);
        CHECK(eventually([&] { return client.stats().readers == 1; }));
        CHECK(client.append(second, "two") == 2);
        // A timeout that is too long for the clock waits until something arrives.
        const auto chunk = reader.next(std::chrono::nanoseconds::max());
        REQUIRE(chunk);
        CHECK(chunk->text() == "two");
        CHECK_FALSE(reader.next(0ms));
    }

    TEST_CASE("several readers of one stream at different cursors each get all of it") {
        Client client(conninfo());
        const auto stream = unique("shared");
        std::vector<std::string> words;
        for (int i = 0; i < 100; ++i)
            words.push_back(std::to_string(i) + " ");
        client.append_many(stream, words);
        std::vector<rill::Reader> readers;
        for (const std::int64_t start : {0, 0, 50, 99, 100, 50})
            readers.push_back(client.read(stream, rill::after(start)));
        client.append(stream, "end", {.eof = true});
        std::vector<std::string> got;
        for (auto &reader : readers)
            got.push_back(read_all(reader));
        const std::string all = std::accumulate(words.begin(), words.end(), std::string()) + "end";
        CHECK(got[0] == all);
        CHECK(got[1] == all);
        CHECK(got[2] == all.substr(all.find("50 ")));
        CHECK(got[3] == "99 end");
        CHECK(got[4] == "end");
        CHECK(got[5] == got[2]);
    }

    TEST_CASE("a slow reader's buffer is bounded, and other readers are not held up") {
        Client client(conninfo(), {.buffer_chunks = 10, .buffer_bytes = 4096, .fetch_chunks = 5});
        const auto stream = unique("backpressure");
        std::vector<std::string> words;
        for (int i = 0; i < 500; ++i)
            words.push_back(std::to_string(i) + ",");
        client.append_many(stream, words, {.eof = true});
        auto slow = client.read(stream);
        auto fast = client.read(stream);
        const std::string all = std::accumulate(words.begin(), words.end(), std::string());
        CHECK(read_all(fast) == all);
        CHECK(client.stats().chunks_caught_up < 500 + 30);
        CHECK(read_all(slow) == all);
        CHECK(eventually([&] { return client.stats().readers == 0; }));
    }

    TEST_CASE("a large chunk behind a small one arrives although no second wake-up announces it") {
        Client client(conninfo(), {.poll_interval = 0ms, .fetch_bytes = 1000});
        const auto stream = unique("large");
        auto reader = client.read(stream);
        CHECK(eventually([&] { return client.stats().listening; }));
        const std::vector<std::string> chunks{"small", std::string(100'000, 'x'), "end"};
        client.append_many(stream, chunks, {.eof = true});
        CHECK(read_all(reader).size() == 100'008);
    }

    TEST_CASE("streams that the limits of a query leave out are fetched for at once, wherever they resume") {
        constexpr int kStreams = 10;
        Client writer(conninfo());
        std::vector<std::string> names;
        for (int i = 0; i < kStreams; ++i) {
            names.push_back(unique("left-out-" + std::to_string(i)));
            for (int n = 1; n <= 3; ++n)
                writer.append(names.back(), std::to_string(n) + std::string(1000, 'x'));
            writer.close_stream(names.back());
        }
        for (const rill::Options &options : {rill::Options{.poll_interval = 0ms, .fetch_bytes = 10},
                                             rill::Options{.poll_interval = 0ms, .fetch_chunks = 3}}) {
            Client client(conninfo(), options);
            std::vector<rill::Reader> readers;
            // Some begin, some resume behind a chunk that they have not read.
            for (int i = 0; i < kStreams; ++i)
                readers.push_back(client.read(names[static_cast<std::size_t>(i)], rill::after(i % 2)));
            for (int i = 0; i < kStreams; ++i) {
                auto &reader = readers[static_cast<std::size_t>(i)];
                for (int n = 1 + i % 2; n <= 3; ++n)
                    CHECK(next_chunk(reader).text().substr(0, 1) == std::to_string(n));
                CHECK_FALSE(reader.next());
                CHECK(reader.ended());
            }
        }
    }

    TEST_CASE("many streams share two connections") {
        const auto name = unique("many");
        Client client(conninfo("application_name=" + name));
        constexpr std::size_t kStreams = 500;
        std::vector<std::string> names;
        std::vector<rill::Reader> readers;
        for (std::size_t i = 0; i < kStreams; ++i) {
            names.push_back(unique("one-of-many"));
            readers.push_back(client.read(names.back()));
        }
        Admin admin;
        admin("SELECT count(" + admin.schema() + "stream_append(s, s::bytea, true)) FROM unnest(string_to_array('" +
              std::accumulate(names.begin() + 1, names.end(), names[0],
                              [](const std::string &a, const std::string &b) { return a + "," + b; }) +
              "', ',')) s");
        for (std::size_t i = 0; i < kStreams; ++i)
            REQUIRE(read_all(readers[i]) == names[i]);
        CHECK(admin("SELECT count(*) FROM pg_stat_activity WHERE application_name = '" + name + "'") == "2");
    }

    TEST_CASE("on_ready says when to read, for any number of readers on one thread") {
        struct Ready {
            std::mutex mutex;
            std::condition_variable some;
            std::set<std::size_t> readers;
        };
        const auto ready = std::make_shared<Ready>();
        Client client(conninfo());
        std::vector<std::string> names;
        std::vector<rill::Reader> readers;
        for (std::size_t i = 0; i < 20; ++i) {
            names.push_back(unique("ready"));
            if (i % 2 == 0)
                client.append(names[i], "early", {.eof = true});
            readers.push_back(client.read(names[i]));
            readers.back().on_ready([ready, i] {
                const std::scoped_lock lock(ready->mutex);
                ready->readers.insert(i);
                ready->some.notify_one();
            });
        }
        for (std::size_t i = 1; i < 20; i += 2)
            client.append(names[i], "late", {.eof = true});
        std::vector<std::string> got(20);
        for (std::size_t ended = 0; ended < 20;) {
            std::unique_lock lock(ready->mutex);
            REQUIRE(ready->some.wait_for(lock, 60s, [&] { return !ready->readers.empty(); }));
            const std::size_t i = *ready->readers.begin();
            ready->readers.erase(i);
            lock.unlock();
            const bool before = readers[i].ended();
            while (const auto chunk = readers[i].next(0ms))
                got[i] += chunk->text();
            ended += !before && readers[i].ended() ? 1U : 0U;
        }
        for (std::size_t i = 0; i < 20; ++i)
            CHECK(got[i] == (i % 2 == 0 ? "early" : "late"));
    }

    TEST_CASE("on_ready is called at once for chunks that arrived together with one already returned") {
        Client client(conninfo());
        const auto stream = unique("ready-late");
        client.append_many(stream, std::vector<std::string>{"1", "2", "3"});
        client.close_stream(stream);
        auto reader = client.read(stream);
        CHECK(next_chunk(reader).text() == "1");
        const auto calls = std::make_shared<std::atomic<int>>(0);
        reader.on_ready([calls] { ++*calls; });
        REQUIRE(eventually([&] { return *calls > 0; }));
        CHECK(next_chunk(reader).text() == "2");
        CHECK(next_chunk(reader).text() == "3");
        CHECK_FALSE(reader.next(0ms));
        CHECK(reader.ended());
    }
}
