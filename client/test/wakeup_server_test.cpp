// How a reader of a real server hears of new chunks: by a wait in the server, by NOTIFY, on the way from one to the
// other, and by the poll.
#include "proxy.hpp"
#include "server.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

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
    TEST_CASE("NOTIFY brings chunks without any poll") {
        Client client(conninfo(), {.poll_interval = 0ms, .wait_streams = 0});
        const auto stream = unique("notify");
        auto reader = client.read(stream);  // it is not there yet
        CHECK_FALSE(reader.next(0ms));
        CHECK(eventually([&] { return client.stats().listening; }));
        for (int i = 1; i <= 50; ++i) {
            client.append(stream, std::to_string(i));
            CHECK(next_chunk(reader).text() == std::to_string(i));
        }
        CHECK(client.stats().chunks_by_notify > 0);
        CHECK(client.stats().polls == 0);
    }

    TEST_CASE("a few quiet streams are waited for in the server, and chunks arrive that way") {
        Client client(conninfo(), {.poll_interval = 0ms});
        const auto stream = unique("waits");
        const auto unborn = unique("waits-unborn");
        Admin admin;
        admin.create(stream);
        auto reader = client.read(stream);
        auto other = client.read(unborn);
        for (int i = 1; i <= 20; ++i) {
            REQUIRE(admin.waited_for(stream));
            const bool both = i % 2 == 0;
            client.append(stream, std::to_string(i));
            CHECK(next_chunk(reader).text() == std::to_string(i));
            if (both) {
                REQUIRE(admin.waited_for(stream));
                client.append(unborn, std::to_string(i));
                CHECK(next_chunk(other).text() == std::to_string(i));
            }
        }
        // A chunk that arrives just when LISTEN has come into place counts as caught up.
        CHECK(client.stats().chunks_by_wait > 15);
        CHECK(client.stats().chunks_by_poll == 0);
        // After the end, and after stop(), nothing is waited for.
        REQUIRE(admin.waited_for(stream));
        client.close_stream(stream);
        CHECK_FALSE(reader.next());
        other.stop();
        CHECK(admin.waited_for(unborn, 0));
    }

    TEST_CASE("anything else to fetch ends the wait in the server at once") {
        Options options;
        options.poll_interval = 0ms;  // nor does a poll
        Client client(conninfo(), options);
        auto quiet = client.read(unique("quiet"));
        for (int i = 0; i < 200; ++i) {
            const auto stream = unique("joins-" + std::to_string(i));
            client.append(stream, "x", {.eof = true});
            auto reader = client.read(stream);
            CHECK(read_all(reader) == "x");
        }
        CHECK(client.stats().waits > 0);
        CHECK_FALSE(quiet.next(0ms));
    }

    TEST_CASE("a wait that missed the request to end is asked to end again") {
        Proxy proxy(conninfo());
        Options options;
        options.poll_interval = 0ms;
        options.response_timeout = 1h;  // nor does a new connection help
        Client client(proxy.conninfo(), options);
        Client writer(conninfo());
        Admin admin;
        const auto quiet = unique("gathered");
        const auto joins = unique("gathered-joins");
        admin.create(quiet);
        writer.append(joins, "x");
        auto reader = client.read(quiet);
        REQUIRE(admin.waited_for(quiet));
        REQUIRE(eventually([&] { return client.stats().listening; }));
        for (int i = 1; i <= 5; ++i) {
            // The next wait and the request to end it reach the server in one piece, and it reads both before it waits.
            // (Now and then something is fetched first, when LISTEN has come into place.)
            proxy.set(Proxy::Mode::gather);
            const auto asked = [&] { return client.stats().waits + client.stats().fetches; };
            const auto before = asked();
            writer.append(quiet, std::to_string(i));
            CHECK(next_chunk(reader).text() == std::to_string(i));
            REQUIRE(eventually([&] { return asked() > before; }));
            auto another = client.read(joins);
            REQUIRE(eventually([&] { return client.stats().readers == 2; }));
            proxy.set(Proxy::Mode::pass);
            CHECK(next_chunk(another).text() == "x");
            REQUIRE(admin.waited_for(joins));
            another.stop();  // which ends the wait for both, and another one begins
            REQUIRE(admin.waited_for(joins, 0));
            REQUIRE(admin.waited_for(quiet));
        }
    }

    TEST_CASE("streams announced during a wait are fetched for when no further wait follows") {
        Client client(conninfo(), {.poll_interval = 0ms, .wait_streams = 2});
        Admin admin;
        const auto one = unique("announced-1");
        const auto two = unique("announced-2");
        const auto third = unique("announced-3");
        for (const auto &stream : {one, two})
            admin.create(stream);
        // When LISTEN comes into place all readers are fetched for once more: that is to happen before these two exist.
        auto early = client.read(unique("announced-0"));
        REQUIRE(eventually([&] { return client.stats().listening; }));
        early.stop();
        auto first = client.read(one);
        auto second = client.read(two);
        REQUIRE(admin.waited_for(one));
        REQUIRE(admin.waited_for(two));
        // The wait answers for one of the two, and not before both have been announced and there is a third reader.
        const auto append = [&](const std::string &stream) {
            admin("SELECT " + admin.schema() + "stream_append('" + stream + "', 'x')");
        };
        admin("BEGIN");
        append(one);
        append(two);
        Admin observer;
        Admin blocker;
        blocker("BEGIN");
        std::thread blocking(
            [&] { blocker("LOCK TABLE " + blocker.schema() + "stream_chunk IN ACCESS EXCLUSIVE MODE"); });
        REQUIRE(eventually([&] {
            return observer("SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted AND "
                            "relation = '" +
                            observer.schema() + "stream_chunk'::regclass") == "1";
        }));
        const auto notifications = client.stats().notifications;
        admin("COMMIT");
        blocking.join();
        REQUIRE(eventually([&] { return client.stats().notifications > notifications; }));
        auto late = client.read(third);
        REQUIRE(eventually([&] { return client.stats().readers == 3; }));
        blocker("ROLLBACK");
        CHECK(next_chunk(first).text() == "x");
        CHECK(next_chunk(second).text() == "x");
        CHECK_FALSE(late.next(0ms));
    }

    TEST_CASE("a wait whose last bytes reach the server separately does not start over forever") {
        Admin admin;
        // The server reads 8 kB at a time. Of the statement's messages the last, Sync, has 5 bytes.
        constexpr std::size_t kStreams = 20;
        const std::string sql = "CALL " + admin.schema() + "stream_fetch_await($1, $2, '1 min')";
        const std::size_t parse = 5 + 1 + sql.size() + 1 + 2 + 2 * 4;
        const std::size_t bind = 5 + 1 + 1 + 2 + 2 * 2 + 2 + 2 * (4 + 20) + kStreams * (4 + 4 + 8) + 2 + 2;
        const std::size_t rest = 7 + 10 + 5;
        std::size_t names = 8192 + 3 - parse - bind - rest;
        Client client(conninfo(), {.poll_interval = 0ms});
        std::vector<rill::Reader> readers;
        std::string last;
        for (std::size_t left = kStreams; left > 0; --left) {
            last = unique("apart");
            last.resize(names / left, '.');
            names -= last.size();
            admin.create(last);
            readers.push_back(client.read(last));
        }
        REQUIRE(eventually([&] { return client.stats().listening; }));
        REQUIRE(admin.waited_for(last));
        const auto waits = client.stats().waits;
        for (int i = 0; i < 2'000; ++i)
            admin("SELECT 1");
        CHECK(client.stats().waits < waits + 50);
        client.append(last, "x");
        CHECK(next_chunk(readers.back()).text() == "x");
    }

    TEST_CASE(
        "busy streams are not waited for chunk by chunk, and nothing is missed when changing to NOTIFY and back") {
        Client client(conninfo(), {.poll_interval = 0ms});
        Client writer(conninfo());
        const auto stream = unique("busy");
        constexpr int kChunks = 3'000;
        std::thread appender([&] {
            for (int i = 1; i <= kChunks; ++i)
                writer.append(stream, std::to_string(i), {.eof = i == kChunks});
        });
        auto reader = client.read(stream);
        for (int i = 1; i <= kChunks; ++i)
            REQUIRE(next_chunk(reader).text() == std::to_string(i));
        CHECK_FALSE(reader.next());
        appender.join();
    }

    TEST_CASE("a reader of a stream that does not exist yet is woken for it, whatever other ids came before") {
        Client client(conninfo(), {.poll_interval = 0ms, .wait_streams = 0});
        const auto name = unique("unborn");
        auto unborn = client.read(name);
        auto other = client.read(unique("other"));
        Admin one;
        Admin two;
        const auto append = [](Admin &session, const std::string &stream, const std::string &data) {
            session("SELECT " + session.schema() + "stream_append('" + stream + "', '" + data + "')");
        };
        const auto witness = unique("witness");
        auto seen = client.read(witness);
        for (int i = 0; i < 20; ++i)
            append(one, unique("foreign"), "x");
        append(one, witness, "1");
        CHECK(next_chunk(seen).text() == "1");
        CHECK_FALSE(unborn.next(0ms));
        // It is created without chunks, and its first ones are undecided when others are announced.
        one("SELECT " + one.schema() + "stream_create('" + name + "')");
        one("BEGIN");
        append(one, name, "first");
        append(two, name, "second");
        append(two, witness, "2");
        CHECK(next_chunk(seen).text() == "2");
        CHECK_FALSE(unborn.next(0ms));
        one("COMMIT");
        CHECK(next_chunk(unborn).text() == "first");
        CHECK(next_chunk(unborn).text() == "second");
        CHECK_FALSE(other.next(0ms));
    }

    TEST_CASE("lost wake-ups cost only latency: the poll finds the chunks and reports them") {
        Admin admin;
        admin("ALTER SYSTEM SET pg_rill.wakeups = off");
        admin("SELECT pg_reload_conf()");
        REQUIRE(eventually([] {
            Admin fresh;
            return fresh("SHOW pg_rill.wakeups") == "off";
        }));
        const auto name = unique("rescued");
        Events events;
        {
            Options options;
            options.poll_interval = 50ms;
            options.wait_streams = 0;
            options.on_event = events.callback();
            Client client(conninfo(), options);
            Client writer(conninfo());
            auto reader = client.read(name);
            REQUIRE(eventually([&] { return client.stats().listening && client.stats().fetches > 1; }));
            for (int i = 1; i <= 20; ++i) {
                writer.append(name, std::to_string(i), {.eof = i == 20});
                expect_numbers(reader, i, i);
            }
            CHECK(client.stats().chunks_by_poll > 0);
            CHECK(client.stats().chunks_by_notify == 0);
            // Those that came with the end as well.
            CHECK(eventually([&] { return client.stats().chunks_rescued == client.stats().chunks_by_poll; }));
            // A wait in the server rechecks by itself.
            Client waiting(conninfo(), {.poll_interval = 0ms});
            const auto later = unique("recheck");
            admin.create(later);
            auto waiter = waiting.read(later);
            REQUIRE(admin.waited_for(later));
            writer.append(later, "1");
            expect_numbers(waiter, 1, 1);
            CHECK(waiting.stats().chunks_by_poll == 0);
        }
        admin("ALTER SYSTEM RESET pg_rill.wakeups");
        admin("SELECT pg_reload_conf()");
        CHECK(events.count(Kind::rescued_by_poll, Channel::read) > 0);
        REQUIRE(eventually([] {
            Admin fresh;
            return fresh("SHOW pg_rill.wakeups") == "on";
        }));
    }
}
