// Where a reader begins, when it has caught up, and what ends its waiting.
#include "server.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using namespace rill::test;
using rill::Client;

namespace {

// The chunks that a reader returns from here to the end, joined by spaces.
std::string rest_of(rill::Reader &reader) {
    std::string all;
    while (const auto chunk = reader.next(60s))
        all += (all.empty() ? "" : " ") + std::string(chunk->text());
    CHECK(reader.ended());
    return all;
}

}  // namespace

TEST_SUITE("server" * doctest::skip(no_server())) {
    TEST_CASE("skip(n) and last(n) count data chunks, and skip goes on counting behind the tail") {
        Client client(conninfo());
        const auto stream = unique("skip");
        client.append_many(stream, std::vector<std::string>{"1", "2", "3"});
        auto skip_none = client.read(stream, rill::skip(0));
        auto skip_two = client.read(stream, rill::skip(2));
        auto skip_three = client.read(stream, rill::skip(3));
        auto skip_five = client.read(stream, rill::skip(5));
        auto skip_all = client.read(stream, rill::skip(100));
        auto last_none = client.read(stream, rill::last(0));
        auto last_two = client.read(stream, rill::last(2));
        auto last_ten = client.read(stream, rill::last(10));
        CHECK(skip_five.position().id == 3);
        // One behind the tail at a time, so that those to skip come in several pages.
        for (const char *const data : {"4", "5", "6", "7"})
            client.append(stream, data);
        client.append(stream, "end", {.eof = true});
        CHECK(rest_of(skip_none) == "1 2 3 4 5 6 7 end");
        CHECK(rest_of(skip_two) == "3 4 5 6 7 end");
        CHECK(rest_of(skip_three) == "4 5 6 7 end");
        CHECK(rest_of(skip_five) == "6 7 end");
        CHECK(rest_of(skip_all) == "end");
        CHECK(skip_all.position().id == 8);
        CHECK(rest_of(last_none) == "4 5 6 7 end");
        CHECK(rest_of(last_two) == "2 3 4 5 6 7 end");
        CHECK(rest_of(last_ten) == "1 2 3 4 5 6 7 end");
        auto behind = client.read(stream, rill::skip(2));
        CHECK(rest_of(behind) == "3 4 5 6 7 end");
        auto nothing = client.read(stream, rill::last(0));
        CHECK(rest_of(nothing).empty());
        CHECK(sqlstate_of([&] { (void) client.read(stream, rill::skip(-1)); }) == "22023");
        CHECK(sqlstate_of([&] { (void) client.read(stream, rill::last(-1)); }) == "22023");
    }

    TEST_CASE("skip(n) of a stream that is not there yet, while its reader loses its connection again and again") {
        Admin admin;
        const auto options = fast_reconnect("skip-lost");
        Client client(conninfo(), options);
        const auto stream = unique("skip-new");
        auto reader = client.read(stream, rill::skip(50));
        int killed = 0;
        for (int i = 1; i <= 100; ++i) {
            client.append(stream, std::to_string(i));
            if (i % 10 == 0)
                killed += admin.terminate(options.application_name + " read");
        }
        expect_numbers(reader, 51, 100);
        CHECK(killed > 0);
        CHECK(eventually([&] { return client.stats().reconnects > 0; }));
    }

    TEST_CASE("since(t) begins at a time, and waits for one that is to come") {
        Client client(conninfo());
        const auto stream = unique("since");
        client.append(stream, "early");
        auto from_start = client.read(stream);
        const auto early = next_chunk(from_start).appended_at;
        REQUIRE(eventually([&] { return std::chrono::system_clock::now() > early + 1ms; }));
        client.append(stream, "late");
        const auto late = next_chunk(from_start).appended_at;
        auto from_late = client.read(stream, rill::since(late));
        auto to_come = client.read(stream, rill::since(late + 200ms));
        CHECK(next_chunk(from_late).text() == "late");
        client.append(stream, "too early");
        REQUIRE(eventually([&] { return std::chrono::system_clock::now() > late + 300ms; }));
        client.append(stream, "in time");
        // The server's clock decides, and this machine may be slow: whatever is too early is left out.
        const auto first = next_chunk(to_come);
        CHECK(first.appended_at >= late + 200ms);
        CHECK(to_come.position().id == first.id);
        CHECK((first.text() == "in time" || first.text() == "too early"));
    }

    TEST_CASE("caught_up() is true once everything was returned, and on_ready says so of an empty stream, too") {
        Client client(conninfo());
        const auto stream = unique("caught-up");
        const auto ready = std::make_shared<std::atomic<int>>(0);
        auto empty = client.read(unique("caught-up-empty"));
        empty.on_ready([ready] { ++*ready; });
        CHECK(eventually([&] { return empty.caught_up(); }));
        CHECK(eventually([&] { return *ready > 0; }));
        client.append_many(stream, std::vector<std::string>{"1", "2", "3"});
        auto reader = client.read(stream);
        CHECK_FALSE(reader.caught_up());
        CHECK(next_chunk(reader).text() == "1");
        CHECK_FALSE(reader.caught_up());
        CHECK(next_chunk(reader).text() == "2");
        CHECK_FALSE(reader.caught_up());
        CHECK(next_chunk(reader).text() == "3");
        CHECK(eventually([&] { return reader.caught_up(); }));
        client.close_stream(stream);
        CHECK_FALSE(reader.next());
        CHECK(reader.caught_up());
    }

    TEST_CASE("caught_up() stays false while the limits of a query leave chunks behind") {
        Client client(conninfo(), {.buffer_chunks = 20, .fetch_chunks = 10});
        const auto stream = unique("caught-up-slow");
        client.append_many(stream, std::vector<std::string>(100, "x"));
        auto reader = client.read(stream);
        for (int i = 1; i < 100; ++i) {
            CHECK(next_chunk(reader).id == i);
            CHECK_FALSE(reader.caught_up());
        }
        CHECK(next_chunk(reader).id == 100);
        CHECK(eventually([&] { return reader.caught_up(); }));
    }

    TEST_CASE("a stop token ends next(), but not before what is there was read") {
        Client client(conninfo());
        const auto stream = unique("stop-token");
        client.append(stream, "x");
        auto reader = client.read(stream);
        CHECK(eventually([&] { return client.stats().chunks_caught_up > 0; }));
        std::stop_source source;
        source.request_stop();
        CHECK(reader.next(source.get_token()).has_value());
        CHECK_FALSE(reader.next(source.get_token()));
        CHECK_FALSE(reader.stopped());
        for (int i = 0; i < 200; ++i) {
            std::stop_source again;
            std::jthread stopper([&] { again.request_stop(); });
            CHECK_FALSE(reader.next(again.get_token()));
        }
        client.append(stream, "y");
        CHECK(next_chunk(reader).text() == "y");
    }

    // What rill tail -f does: read up to the head, then follow by on_ready, while the stream is appended to and closed.
    TEST_CASE("whatever next(0) would return is announced: short-lived followers of streams that end as they begin") {
        Client client(conninfo());
        Random random(20);
        for (int i = 0; i < 300; ++i) {
            const auto stream = unique("short");
            client.append(stream, "1");
            const auto pause = std::chrono::microseconds(random.below(1500));
            std::jthread writer([&client, stream, pause] {
                std::this_thread::sleep_for(pause);
                client.append_many(stream, std::vector<std::string>{"2", "3"});
                client.close_stream(stream);
            });
            struct Signal {
                std::mutex mutex;
                std::condition_variable changed;
                bool ready = false;
            };
            const auto signal = std::make_shared<Signal>();
            const auto head = client.head(stream);
            auto reader = client.read(stream);
            std::string got;
            while (reader.position().id < head && !reader.ended())
                if (const auto chunk = reader.next(200ms))
                    got += chunk->text();
            reader.on_ready([signal] {
                const std::scoped_lock lock(signal->mutex);
                signal->ready = true;
                signal->changed.notify_one();
            });
            while (!reader.ended()) {
                {
                    std::unique_lock lock(signal->mutex);
                    REQUIRE(signal->changed.wait_for(lock, 60s, [&] { return signal->ready; }));
                    signal->ready = false;
                }
                while (const auto chunk = reader.next(0ms))
                    got += chunk->text();
            }
            REQUIRE(got == "123");
        }
    }
}
