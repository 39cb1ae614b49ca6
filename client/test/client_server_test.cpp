// The client against a real server, all connections well.
#include "server.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <condition_variable>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <numeric>
#include <set>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using namespace rill::test;
using rill::Client;
using rill::Options;

TEST_SUITE("server" * doctest::skip(no_server())) {
    TEST_CASE("what was appended is read, byte for byte, up to the end") {
        Client client(conninfo());
        const auto stream = unique("bytes");
        const std::string binary("\0\xff\n'\\\x80", 6);
        CHECK(client.append(stream, "hello") == 1);
        CHECK(client.append(stream, binary) == 2);
        CHECK(client.append(stream, "") == 3);
        CHECK(client.close_stream(stream) == 4);
        CHECK(client.close_stream(stream) == 4);

        auto reader = client.read(stream);
        const auto first = need(reader);
        CHECK(first.id == 1);
        CHECK(first.text() == "hello");
        CHECK_FALSE(first.eof);
        CHECK(std::chrono::abs(std::chrono::system_clock::now() - first.appended_at) < 1h);
        CHECK(need(reader).text() == binary);
        CHECK(need(reader).text().empty());
        CHECK_FALSE(reader.next());
        CHECK(reader.ended());
        CHECK_FALSE(reader.next(0ms));
        CHECK(first.text() == "hello");
        CHECK(eventually([&] { return client.stats().readers == 0; }));
    }

    TEST_CASE("an EOF with data is handed out as the last chunk") {
        Client client(conninfo());
        const auto stream = unique("eof");
        client.append(stream, "last", true);
        auto reader = client.read(stream);
        const auto chunk = need(reader);
        CHECK(chunk.eof);
        CHECK(chunk.text() == "last");
        CHECK_FALSE(reader.next());
        CHECK(reader.ended());
    }

    TEST_CASE("only_new begins behind what was there when read() returned") {
        Client client(conninfo());
        const auto stream = unique("only-new");
        client.append(stream, "old");
        auto reader = client.read(stream, rill::only_new());
        client.append(stream, "new");
        CHECK(need(reader).text() == "new");
    }

    TEST_CASE("a stored position resumes behind it, also at the very end") {
        Client client(conninfo());
        const auto stream = unique("resume");
        for (const char *const data : {"a", "b", "c"})
            client.append(stream, data);
        client.close_stream(stream);
        auto first = client.read(stream);
        CHECK(need(first).text() == "a");
        const auto position = first.position();
        REQUIRE(position.epoch);
        auto second = client.read(stream, rill::after(position.id, *position.epoch));
        CHECK(drain(second) == "bc");
        const auto end = second.position();
        CHECK(end.id == 4);
        for (const auto start : {rill::after(end.id), rill::after(end)}) {
            auto third = client.read(stream, start);
            CHECK(drain(third).empty());
        }
    }

    TEST_CASE("a reader that resumes at an open stream's head goes on with what comes") {
        Client client(conninfo());
        const auto stream = unique("resume-open");
        client.append(stream, "a");
        auto reader = client.read(stream, rill::after(1));
        CHECK_FALSE(reader.next(0ms));
        client.append(stream, "b");
        CHECK(need(reader).id == 2);
    }

    TEST_CASE("a cursor that cannot go on ends its reader alone, with the server's SQLSTATE") {
        Client client(conninfo());
        const auto stream = unique("cursor");
        client.append(stream, "a");
        auto good = client.read(stream);
        auto ahead = client.read(stream, rill::after(1000));
        auto missing = client.read(unique("missing"), rill::after(5));
        const std::int32_t epoch = need(good).epoch;
        auto diverged = client.read(stream, rill::after(1, epoch ^ 1));
        CHECK(sqlstate_of([&] { (void) ahead.next(); }) == "RL003");
        CHECK(sqlstate_of([&] { (void) ahead.next(); }) == "RL003");
        CHECK(sqlstate_of([&] { (void) missing.next(); }) == "RL007");
        CHECK(sqlstate_of([&] { (void) diverged.next(); }) == "RL003");
        client.append(stream, "b");
        CHECK(need(good).text() == "b");
    }

    TEST_CASE("another history behind an unbroken connection (a pooler, a promotion) is noticed before it is read") {
        Client client(conninfo());
        Admin admin;
        const auto stream = unique("promoted");
        client.append(stream, "a");
        auto reader = client.read(stream);
        CHECK(need(reader).text() == "a");
        // As if the chunk had been lost and stored again, with another behind it, by another run of the server.
        admin("BEGIN");
        admin("SELECT " + admin.schema() + "stream_append('" + stream + "', 'b')");
        admin("UPDATE " + admin.schema() +
              "stream_chunk SET epoch = epoch # 1 WHERE stream_id = (SELECT stream_id FROM " + admin.schema() +
              "stream WHERE name = '" + stream + "')");
        admin("COMMIT");
        CHECK(sqlstate_of([&] { (void) reader.next(60s); }) == "RL003");
    }

    TEST_CASE("a server that merely was restarted goes on with another epoch") {
        Client client(conninfo());
        Admin admin;
        const auto stream = unique("restarted");
        client.append(stream, "a");
        auto reader = client.read(stream);
        CHECK(need(reader).text() == "a");
        admin("BEGIN");
        admin("SELECT " + admin.schema() + "stream_append('" + stream + "', 'b')");
        admin("UPDATE " + admin.schema() +
              "stream_chunk SET epoch = epoch # 1 WHERE chunk_id = 2 AND stream_id = "
              "(SELECT stream_id FROM " +
              admin.schema() + "stream WHERE name = '" + stream + "')");
        admin("COMMIT");
        CHECK(need(reader).text() == "b");
        client.append(stream, "c", true);
        CHECK(drain(reader) == "c");
    }

    TEST_CASE("durations too long to be added to the clock mean never") {
        constexpr auto never = std::chrono::milliseconds::max();
        Client client(conninfo(), {.poll_interval = never,
                                   .response_timeout = never,
                                   .call_timeout = never,
                                   .reconnect_min = never,
                                   .reconnect_max = never,
                                   .give_up_after = never});
        const auto stream = unique("never");
        client.append(stream, "x", true);
        auto reader = client.read(stream);
        CHECK(drain(reader) == "x");
        CHECK(client.stats().polls == 0);
    }

    TEST_CASE("the background thread leaves signals to the program, but not its own faults") {
        const auto threads = [] {
            std::set<std::filesystem::path> all;
            for (const auto &task : std::filesystem::directory_iterator("/proc/self/task"))
                all.insert(task.path());
            return all;
        };
        const auto before = threads();
        Client client(conninfo());
        int background = 0;
        for (const auto &task : threads()) {
            if (before.contains(task))
                continue;
            std::ifstream status(task / "status");
            std::uint64_t blocked = 0;
            for (std::string line; std::getline(status, line);)
                if (line.starts_with("SigBlk:"))
                    blocked = std::stoull(line.substr(7), nullptr, 16);
            const auto blocks = [blocked](int signal) { return (blocked >> (signal - 1) & 1) != 0; };
            CHECK_FALSE(blocks(SIGSEGV));
            background += blocks(SIGTERM) ? 1 : 0;
        }
        CHECK(background >= 1);
    }

    TEST_CASE("an append to a closed stream says so, and is neither lost nor worth repeating") {
        Client client(conninfo());
        const auto stream = unique("closed");
        client.close_stream(stream);
        try {
            client.append(stream, "late");
            FAIL("appended");
        } catch (const rill::Error &error) {
            CHECK(error.sqlstate() == "RL001");
            CHECK_FALSE(error.connection_lost());
            CHECK_FALSE(error.retryable());
        }
        auto reader = client.read(stream);
        CHECK(drain(reader).empty());
    }

    TEST_CASE("a batch has consecutive ids and may be the end") {
        Client client(conninfo());
        const auto stream = unique("batch");
        const std::vector<std::string> words{"one ", "", "three"};
        CHECK(client.append_many(stream, words) == 3);
        CHECK(client.append_many(stream, std::vector<std::string_view>{}) == std::nullopt);
        const std::string data = "four";
        const std::vector<std::span<const std::byte>> spans{std::as_bytes(std::span<const char>(data))};
        CHECK(client.append_many(stream, spans, true) == 4);
        auto reader = client.read(stream);
        CHECK(drain(reader) == "one threefour");
        CHECK(client.head(stream) == 4);
    }

    TEST_CASE("impossible names, cursors and options are refused before anything is sent") {
        Client client(conninfo());
        const auto refused = [](const std::function<void()> &action) { return sqlstate_of(action) == "22023"; };
        CHECK(refused([&] { client.append("", "x"); }));
        CHECK(refused([&] { client.append(std::string(513, 'x'), "x"); }));
        CHECK(refused([&] { client.append(std::string_view("a\0b", 3), "x"); }));
        CHECK(refused([&] { (void) client.read("", {}); }));
        CHECK(refused([&] { (void) client.read("x", rill::after(-1)); }));
        CHECK(refused([&] { Client bad(conninfo(), {.poll_interval = -1ms}); }));
        CHECK(refused([&] { Client bad(conninfo(), {.fetch_chunks = 0}); }));
    }

    TEST_CASE("a name that the server cannot take fails its reader and no other") {
        Client client(conninfo());
        std::vector<rill::Reader> readers;
        std::vector<std::string> names;
        for (int i = 0; i < 9; ++i) {
            names.push_back(unique("fine"));
            client.append(names.back(), "x", true);
        }
        auto bad = client.read("not utf-8: \xff");
        for (const auto &name : names)
            readers.push_back(client.read(name));
        CHECK(sqlstate_of([&] { (void) bad.next(); }) == "22021");
        for (auto &reader : readers)
            CHECK(drain(reader) == "x");
    }

    TEST_CASE("a timeout is neither the end nor an error") {
        Client client(conninfo());
        auto reader = client.read(unique("timeout"));
        CHECK_FALSE(reader.next(1ms));
        CHECK_FALSE(reader.ended());
        CHECK_FALSE(reader.stopped());
    }

    TEST_CASE("stop() ends a pending next(), close() ends it with Closed") {
        Client client(conninfo());
        auto stopped = client.read(unique("stop"));
        auto closed = client.read(unique("close"));
        std::atomic<bool> was_closed{false};
        std::thread waits_for_stop([&] { CHECK_FALSE(stopped.next()); });
        std::thread waits_for_close([&] {
            try {
                (void) closed.next();
            } catch (const rill::Closed &) {
                was_closed = true;
            }
        });
        stopped.stop();
        stopped.stop();
        waits_for_stop.join();
        CHECK(stopped.stopped());
        CHECK_FALSE(stopped.ended());
        client.close();
        client.close();
        waits_for_close.join();
        CHECK(was_closed);
        CHECK_THROWS_AS((void) client.read("x"), rill::Closed);
        CHECK_THROWS_AS(client.append("x", "y"), rill::Closed);
    }

    TEST_CASE("a reader may outlive its client") {
        std::optional<rill::Reader> reader;
        {
            Client client(conninfo());
            reader.emplace(client.read(unique("outlive")));
        }
        CHECK_THROWS_AS((void) reader->next(), rill::Closed);
        reader->stop();
    }

    TEST_CASE("close() ends a call that waits for the server") {
        Client client(conninfo());
        const auto stream = unique("blocked");
        Admin admin;
        admin("BEGIN");
        admin("SELECT " + admin.schema() + "stream_close('" + stream + "')");
        std::atomic<bool> was_closed{false};
        std::thread appender([&] {
            try {
                client.append(stream, "waits for the close to be decided");
            } catch (const rill::Closed &) {
                was_closed = true;
            }
        });
        Admin watcher;
        CHECK(eventually([&] {
            return watcher("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'librill append' AND "
                           "state = 'active'") != "0";
        }));
        client.close();
        appender.join();
        CHECK(was_closed);
        admin("ROLLBACK");
    }

    TEST_CASE("several readers of one stream, at different cursors, each get all of it") {
        Client client(conninfo());
        const auto stream = unique("shared");
        std::vector<std::string> words;
        for (int i = 0; i < 100; ++i)
            words.push_back(std::to_string(i) + " ");
        client.append_many(stream, words);
        std::vector<rill::Reader> readers;
        for (const std::int64_t start : {0, 0, 50, 99, 100, 50})
            readers.push_back(client.read(stream, rill::after(start)));
        client.append(stream, "end", true);
        std::vector<std::string> got;
        for (auto &reader : readers)
            got.push_back(drain(reader));
        const std::string all = std::accumulate(words.begin(), words.end(), std::string()) + "end";
        CHECK(got[0] == all);
        CHECK(got[1] == all);
        CHECK(got[2] == all.substr(all.find("50 ")));
        CHECK(got[3] == "99 end");
        CHECK(got[4] == "end");
        CHECK(got[5] == got[2]);
    }

    TEST_CASE("a slow reader holds a bounded buffer and nobody else up") {
        Client client(conninfo(), {.buffer_chunks = 10, .buffer_bytes = 4096, .fetch_chunks = 5});
        const auto stream = unique("backpressure");
        std::vector<std::string> words;
        for (int i = 0; i < 500; ++i)
            words.push_back(std::to_string(i) + ",");
        client.append_many(stream, words, true);
        auto slow = client.read(stream);
        auto fast = client.read(stream);
        const std::string all = std::accumulate(words.begin(), words.end(), std::string());
        CHECK(drain(fast) == all);
        CHECK(client.stats().chunks_caught_up < 500 + 30);
        CHECK(drain(slow) == all);
        CHECK(eventually([&] { return client.stats().readers == 0; }));
    }

    TEST_CASE("a large chunk behind a small one comes, though no second wake-up tells of it") {
        Client client(conninfo(), {.poll_interval = 0ms, .fetch_bytes = 1000});
        const auto stream = unique("large");
        auto reader = client.read(stream);
        CHECK(eventually([&] { return client.stats().listening; }));
        const std::vector<std::string> chunks{"small", std::string(100'000, 'x'), "end"};
        client.append_many(stream, chunks, true);
        CHECK(drain(reader).size() == 100'008);
    }

    TEST_CASE("many streams share the two connections") {
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
            REQUIRE(drain(readers[i]) == names[i]);
        CHECK(admin("SELECT count(*) FROM pg_stat_activity WHERE application_name = '" + name + "'") == "2");
    }

    TEST_CASE("on_ready tells when to look, for any number of readers on one thread") {
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
                client.append(names[i], "early", true);
            readers.push_back(client.read(names[i]));
            readers.back().on_ready([ready, i] {
                const std::scoped_lock lock(ready->mutex);
                ready->readers.insert(i);
                ready->some.notify_one();
            });
        }
        for (std::size_t i = 1; i < 20; i += 2)
            client.append(names[i], "late", true);
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

    TEST_CASE("on_ready is called at once for chunks that came together with one that next() has returned") {
        Client client(conninfo());
        const auto stream = unique("ready-late");
        client.append_many(stream, std::vector<std::string>{"1", "2", "3"});
        client.close_stream(stream);
        auto reader = client.read(stream);
        CHECK(need(reader).text() == "1");
        const auto calls = std::make_shared<std::atomic<int>>(0);
        reader.on_ready([calls] { ++*calls; });
        REQUIRE(eventually([&] { return *calls > 0; }));
        CHECK(need(reader).text() == "2");
        CHECK(need(reader).text() == "3");
        CHECK_FALSE(reader.next(0ms));
        CHECK(reader.ended());
    }

    TEST_CASE("an exception of a callback is swallowed and counted, and close() may be called in one") {
        Client *self = nullptr;
        std::atomic<bool> armed{false};
        Client client(conninfo(), {.poll_interval = 50ms, .on_event = [&](const rill::Event &) {
                                       if (armed.exchange(false))
                                           self->close();
                                       throw std::runtime_error("from a callback");
                                   }});
        self = &client;
        CHECK(client.stats().callback_errors >= 1);
        armed = true;
        auto reader = client.read(unique("callback"));  // brings the event that LISTEN is in place
        CHECK_THROWS_AS((void) reader.next(), rill::Closed);
    }

    TEST_CASE("a database without the extension and a server that is not there are told by the constructor") {
        CHECK(sqlstate_of([] { Client client(conninfo("dbname=template1")); }) == "42704");
        try {
            Client client("host=127.0.0.1 port=1 user=nobody");
            FAIL("connected to port 1");
        } catch (const rill::Error &error) {
            CHECK(error.connection_lost());
        }
    }

    TEST_CASE("stream_info is read, null where nothing is known") {
        Client client(conninfo());
        const auto stream = unique("info");
        CHECK_FALSE(client.exists(stream));
        CHECK_FALSE(client.info(stream));
        client.append(stream, "12345");
        client.append(stream, "678", true);
        CHECK(client.exists(stream));
        const auto info = client.info(stream);
        REQUIRE(info);
        CHECK(info->name == stream);
        CHECK(info->head_id == 2);
        CHECK(info->first_id == 1);
        CHECK(info->closed);
        CHECK(info->chunks == 2);
        CHECK(info->bytes == 8);
        CHECK(info->last_at);
        CHECK_FALSE(info->max_age);
        bool listed = false;
        for (const auto &each : client.streams())
            listed = listed || each.name == stream;
        CHECK(listed);
    }
}
