// Following while connections fail: nothing is lost, repeated or reordered, and nothing hangs.
#include "proxy.hpp"
#include "server.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using namespace rill::test;
using rill::Client;
using rill::Options;
using Channel = rill::Event::Channel;
using Kind = rill::Event::Kind;

TEST_SUITE("server" * doctest::skip(no_server())) {
    TEST_CASE("a terminated LISTEN session is replaced, and wake-ups continue without any poll") {
        const auto name = unique("listen-lost");
        Events events;
        Options options = fast_reconnect(name);
        options.poll_interval = 0ms;
        options.wait_streams = 0;
        options.on_event = events.callback();
        Client client(conninfo(), options);
        Admin admin;
        auto reader = client.read(name);
        for (int round = 0; round < 5; ++round) {
            REQUIRE(eventually([&] { return client.stats().listening; }));
            client.append(name, std::to_string(2 * round + 1));
            expect_numbers(reader, 2 * round + 1, 2 * round + 1);
            const auto lost = events.count(Kind::disconnected, Channel::listen);
            CHECK(admin.terminate(name + " listen") == 1);
            client.append(name, std::to_string(2 * round + 2));  // perhaps while nobody listens
            expect_numbers(reader, 2 * round + 2, 2 * round + 2);
            REQUIRE(eventually([&] { return events.count(Kind::disconnected, Channel::listen) > lost; }));
        }
        CHECK(client.stats().polls == 0);
        for (const auto &event : events.all())
            if (event.kind == Kind::disconnected) {
                CHECK(event.sqlstate == "57P01");
                CHECK(event.reason == "terminating connection due to administrator command");
                break;
            }
    }

    TEST_CASE("while sessions are terminated again and again, each chunk still arrives once and in order") {
        Random random(10);
        const auto name = unique("all-lost");
        Options options = fast_reconnect(name);
        options.poll_interval = 20ms;
        Client client(conninfo(), options);
        Client writer(conninfo());
        constexpr int kChunks = 2'000;
        std::atomic<bool> done{false};
        std::thread killer([&] {
            Admin admin;
            while (!done) {
                admin.terminate(name + (random.one_in(2) ? " listen" : " read"));
                std::this_thread::sleep_for(std::chrono::milliseconds(random.below(10)));
            }
        });
        std::thread appender([&] {
            for (int i = 1; i <= kChunks; ++i)
                writer.append(name, std::to_string(i));
            writer.close_stream(name);
        });
        auto reader = client.read(name);
        auto other = client.read(name);
        expect_numbers(reader, 1, kChunks);
        CHECK_FALSE(reader.next());
        expect_numbers(other, 1, kChunks);
        CHECK(other.next() == std::nullopt);
        CHECK(other.ended());
        done = true;
        killer.join();
        appender.join();
        CHECK(client.stats().reconnects > 0);
    }

    // Under valgrind, which sees what a reconnect leaves behind: CONTRIBUTING.md has the command.
    TEST_CASE("many reconnects, of all connections") {
        const char *const given = std::getenv("RILL_TEST_RECONNECTS");
        const auto wanted = given != nullptr ? std::stoull(given) : 20;
        const auto name = unique("many-reconnects");
        Client client(conninfo(), fast_reconnect(name));
        Admin admin;
        admin.create(name);
        auto reader = client.read(name);
        int round = 0;
        while (client.stats().reconnects < wanted) {
            REQUIRE(eventually([&] { return client.stats().reading && client.stats().listening; }));
            CHECK(client.head(name) == round);
            CHECK(admin.terminate(name + " read") == 1);
            CHECK(admin.terminate(name + " listen") == 1);
            CHECK(admin.terminate(name + " append") == 1);
            ++round;
            admin("SELECT " + admin.schema() + "stream_append('" + name + "', '" + std::to_string(round) + "')");
            expect_numbers(reader, round, round);
            REQUIRE(eventually([&] { return client.stats().reconnects >= 2U * static_cast<unsigned>(round); }));
        }
        CHECK(round >= static_cast<int>(wanted / 2));
    }

    TEST_CASE("a black hole is noticed by the poll's deadline, and left once the network is back") {
        Proxy proxy(conninfo());
        const auto name = unique("black-hole");
        Events events;
        Options options = fast_reconnect(name);
        options.poll_interval = 50ms;
        options.response_timeout = 200ms;
        options.on_event = events.callback();
        Client client(proxy.conninfo() + " connect_timeout=2", options);
        Client writer(conninfo());
        auto reader = client.read(name);
        writer.append(name, "1");
        expect_numbers(reader, 1, 1);
        REQUIRE(eventually([&] { return client.stats().listening; }));

        proxy.set(Proxy::Mode::black_hole);
        writer.append(name, "2");
        CHECK(eventually([&] {
            return events.count(Kind::disconnected, Channel::read) > 0 &&
                   events.count(Kind::disconnected, Channel::listen) > 0;
        }));
        CHECK_FALSE(reader.next(0ms));
        CHECK_FALSE(reader.ended());
        writer.append(name, "3");
        proxy.set(Proxy::Mode::pass);
        proxy.cut();
        expect_numbers(reader, 2, 3);
        writer.append(name, "4");
        expect_numbers(reader, 4, 4);
    }

    TEST_CASE("a connection cut in the middle of an answer yields neither half a page nor a page twice") {
        Random random(11);
        Proxy proxy(conninfo());
        const auto name = unique("cut");
        Options options = fast_reconnect(name);
        options.poll_interval = 20ms;
        options.fetch_chunks = 50;
        Client client(proxy.conninfo(), options);
        Client writer(conninfo());
        constexpr int kChunks = 1'000;
        std::vector<std::string> numbers;
        for (int i = 1; i <= kChunks; ++i)
            numbers.push_back(std::to_string(i));
        writer.append_many(name, numbers, {.eof = true});
        auto reader = client.read(name);
        for (int i = 1; i <= kChunks; ++i) {
            if (i % 40 == 1)
                proxy.cut_after(static_cast<std::int64_t>(random.below(1'500)));
            REQUIRE(next_chunk(reader).text() == numbers[static_cast<std::size_t>(i - 1)]);
        }
        CHECK_FALSE(reader.next());
        CHECK(reader.ended());
    }

    TEST_CASE("a server that refuses connections for a while is retried until it accepts") {
        Proxy proxy(conninfo());
        const auto name = unique("refused");
        Options options = fast_reconnect(name);
        Client client(proxy.conninfo(), options);
        auto reader = client.read(name);
        Client writer(conninfo());
        writer.append(name, "1");
        expect_numbers(reader, 1, 1);
        proxy.set(Proxy::Mode::refuse);
        proxy.cut();
        REQUIRE(eventually([&] { return client.stats().connect_failures >= 4; }));
        CHECK_FALSE(client.stats().reading);
        writer.append(name, "2");
        proxy.set(Proxy::Mode::pass);
        expect_numbers(reader, 2, 2);
        CHECK(client.stats().reconnects >= 1);
    }

    TEST_CASE("a client can be closed while it cannot connect, and a first connect into a black hole fails") {
        Proxy proxy(conninfo());
        {
            Client client(proxy.conninfo(), fast_reconnect(unique("closing")));
            auto reader = client.read(unique("closing"));
            proxy.set(Proxy::Mode::black_hole);
            proxy.cut();
            REQUIRE(eventually([&] { return !client.stats().reading && proxy.accepted() > 2; }));
            client.close();
            CHECK_THROWS_AS((void) reader.next(), rill::Closed);
        }
        try {
            Client client(proxy.conninfo() + " connect_timeout=2");
            FAIL("connected through a black hole");
        } catch (const rill::Error &error) {
            CHECK(error.connection_lost());
        }
    }

    TEST_CASE("a reader can be stopped while its query is under way") {
        Proxy proxy(conninfo());
        Options options = fast_reconnect(unique("stopping"));
        options.response_timeout = 10s;
        Client client(proxy.conninfo(), options);
        Client writer(conninfo());
        const auto name = unique("stopping");
        writer.append(name, "1");
        proxy.set(Proxy::Mode::black_hole);
        const auto before = client.stats().fetches;
        auto reader = client.read(name);
        REQUIRE(eventually([&] { return client.stats().fetches > before; }));
        reader.stop();
        CHECK_FALSE(reader.next());
        auto another = client.read(name);
        proxy.set(Proxy::Mode::pass);
        proxy.cut();
        CHECK(next_chunk(another).text() == "1");
        CHECK(eventually([&] { return client.stats().readers == 1; }));
    }

    TEST_CASE("readers get an error after give_up_after without a connection") {
        Proxy proxy(conninfo());
        Options options = fast_reconnect(unique("give-up"));
        options.give_up_after = 100ms;
        Client client(proxy.conninfo(), options);
        auto reader = client.read(unique("give-up"));
        proxy.set(Proxy::Mode::refuse);
        proxy.cut();
        try {
            (void) reader.next();
            FAIL("a chunk out of nowhere");
        } catch (const rill::Error &error) {
            CHECK(error.connection_lost());
        }
    }

    TEST_CASE("with many threads on one client and readers coming and going, everybody gets everything") {
        Random random(12);
        Options options = fast_reconnect(unique("busy"));
        options.buffer_chunks = 7;
        options.fetch_chunks = 20;
        Client client(conninfo(), options);
        constexpr int kStreams = 6;
        constexpr int kChunks = 150;
        std::vector<std::string> names;
        for (int i = 0; i < kStreams; ++i)
            names.push_back(unique("busy"));
        std::vector<std::thread> threads;
        std::atomic<int> complete{0};
        for (const auto &name : names) {
            threads.emplace_back([&client, name] {
                for (int i = 1; i <= kChunks; ++i)
                    client.append(name, std::to_string(i), {.eof = i == kChunks});
            });
            for (int k = 0; k < 2; ++k)
                threads.emplace_back([&client, &complete, name, salt = random.below(1'000'000)] {
                    Random mine(salt);
                    rill::Position position;
                    int expected = 1;
                    for (;;) {
                        // Every so often drop the reader and resume with another.
                        auto reader = client.read(name, rill::after(position));
                        for (std::size_t n = 1 + mine.below(40); n > 0; --n) {
                            const auto chunk = reader.next(60s);
                            if (!chunk) {
                                if (reader.ended() && expected == kChunks + 1)
                                    ++complete;
                                return;
                            }
                            if (chunk->text() != std::to_string(expected))
                                return;
                            ++expected;
                            position = reader.position();
                        }
                    }
                });
        }
        for (auto &thread : threads)
            thread.join();
        CHECK(complete == 2 * kStreams);
        CHECK(eventually([&] { return client.stats().readers == 0; }));
    }
}
