// Clients behind a real PgBouncer: what they hold, whether they hear, and that they say what does not work.
#include "pooler.hpp"
#include "proxy.hpp"
#include "server.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using namespace rill::test;
using rill::Client;
using rill::Options;
using Channel = rill::Event::Channel;
using Kind = rill::Event::Kind;

namespace {

// Follows so many streams through the pooler by so many clients, appends to all, and reads everything.
void follow_through(Pooler &pooler, int clients, int streams) {
    Events events;
    std::vector<std::unique_ptr<Client>> all;
    std::vector<rill::Reader> readers;
    const auto base = unique("pooled");
    for (int c = 0; c < clients; ++c) {
        Options options;
        options.poll_interval = 1s;
        options.on_event = events.callback();
        all.push_back(std::make_unique<Client>(pooler.conninfo(), options));
        for (int s = 0; s < streams; ++s)
            readers.push_back(all.back()->read(base + "-" + std::to_string(s)));
    }
    // Each says so once, and what helps.
    REQUIRE(
        eventually([&] { return events.count(Kind::degraded, Channel::listen) == static_cast<std::size_t>(clients); }));
    for (const auto &event : events.all())
        if (event.kind == Kind::degraded)
            CHECK(event.hint.find("listen_conninfo") != std::string::npos);
    Client writer(conninfo());
    for (int round = 1; round <= 3; ++round) {
        for (int s = 0; s < streams; ++s)
            writer.append(base + "-" + std::to_string(s), std::to_string(round));
        for (auto &reader : readers)
            CHECK(next_chunk(reader).text() == std::to_string(round));
    }
    CHECK(eventually([&] { return pooler.held() == 0; }));  // a poll may be under way
    for (const auto &client : all) {
        CHECK(client->stats().waits == 0);
        CHECK_FALSE(client->stats().listening);
    }
    CHECK(events.count(Kind::degraded, Channel::listen) == static_cast<std::size_t>(clients));
    CHECK(events.count(Kind::disconnected, Channel::read) == 0);
}

}  // namespace

TEST_SUITE("server" * doctest::skip(no_server() || no_pooler())) {
    TEST_CASE(
        "through a transaction pooler a client says once that it is degraded, polls, and holds nothing while idle") {
        for (const int size : {1, 2, 20})
            for (const int streams : {3, 100}) {
                CAPTURE(size);
                CAPTURE(streams);
                Pooler pooler("transaction", size);
                follow_through(pooler, 2, streams);
            }
    }

    TEST_CASE("an idle client behind a pool of one leaves it to others") {
        Pooler pooler("transaction", 1);
        Events events;
        Options options;
        options.poll_interval = 0ms;
        options.on_event = events.callback();
        Client idle(pooler.conninfo(), options);
        auto reader = idle.read(unique("pool-of-one"));
        REQUIRE(eventually([&] { return events.count(Kind::degraded, Channel::listen) == 1; }));
        Admin other(pooler.conninfo());
        // Without the poll, nothing of what the client does may come between.
        for (int i = 0; i < 100; ++i) {
            CHECK(pooler.held() == 0);
            CHECK(other("SELECT 1") == "1");
        }
        CHECK(idle.stats().waits == 0);
        CHECK_FALSE(reader.next(0ms));
    }

    TEST_CASE("listen_conninfo brings wake-ups beside a transaction pooler") {
        Pooler pooler("transaction", 2);
        Options options;
        options.poll_interval = 0ms;
        options.listen_conninfo = conninfo();
        Client client(pooler.conninfo(), options);
        const auto stream = unique("beside");
        auto reader = client.read(stream);
        REQUIRE(eventually([&] { return client.stats().listening; }));
        for (int i = 1; i <= 50; ++i) {
            client.append(stream, std::to_string(i));
            CHECK(next_chunk(reader).text() == std::to_string(i));
        }
        CHECK(client.stats().waits == 0);
        CHECK(eventually([&] { return pooler.held() == 0; }));
    }

    TEST_CASE("a listen_conninfo that leads to another database is noticed") {
        Admin admin;
        const auto database = "other_" + std::to_string(Random(1).below(1'000'000));
        admin("CREATE DATABASE " + database);
        {
            Admin other(conninfo("dbname=" + database));
            other("CREATE EXTENSION pg_rill");
        }
        {
            Events events;
            Options options;
            options.on_event = events.callback();
            options.listen_conninfo = conninfo("dbname=" + database);
            Client client(conninfo(), options);
            auto reader = client.read(unique("elsewhere"));
            CHECK(eventually([&] { return events.count(Kind::degraded, Channel::listen) == 1; }));
            CHECK_FALSE(client.stats().listening);
            CHECK_FALSE(reader.next(0ms));
        }
        admin("DROP DATABASE " + database + " WITH (FORCE)");
    }

    TEST_CASE("through a session pooler everything works as without it") {
        Pooler pooler("session", 20);
        Client client(pooler.conninfo(), {.poll_interval = 0ms});
        Admin admin;
        const auto stream = unique("session-pool");
        admin.create(stream);
        auto reader = client.read(stream);
        REQUIRE(eventually([&] { return client.stats().listening; }));
        for (int i = 1; i <= 20; ++i) {
            REQUIRE(admin.waited_for(stream));
            client.append(stream, std::to_string(i));
            CHECK(next_chunk(reader).text() == std::to_string(i));
        }
        CHECK(client.stats().chunks_by_wait > 0);
    }

    TEST_CASE("wait_through_pooler waits in the server, and whatever else is to be fetched ends the wait") {
        Pooler pooler("transaction", 5);
        Options options;
        options.poll_interval = 0ms;
        options.wait_through_pooler = true;
        Client client(pooler.conninfo(), options);
        Admin admin;
        const auto stream = unique("pooled-wait");
        admin.create(stream);
        auto reader = client.read(stream);
        for (int i = 1; i <= 20; ++i) {
            REQUIRE(admin.waited_for(stream));
            client.append(stream, std::to_string(i));
            CHECK(next_chunk(reader).text() == std::to_string(i));
            const auto more = unique("pooled-more");
            client.append(more, "x", {.eof = true});
            auto another = client.read(more);
            CHECK(read_all(another) == "x");
        }
    }

    TEST_CASE("a producer whose pooler has no server gives up when told to, and repeats the append later") {
        Admin admin;
        const auto database = "away_" + std::to_string(Random(2).below(1'000'000));
        admin("CREATE DATABASE " + database);
        {
            Admin other(conninfo("dbname=" + database));
            other("CREATE EXTENSION pg_rill");
        }
        {
            Pooler pooler("transaction", 2);
            Proxy proxy(pooler.conninfo("dbname=" + database));
            Options options = fast_reconnect(unique("away"));
            Client client(proxy.conninfo(), options);
            rill::Producer producer(client, "s", "p", {.retry_for = 500ms});
            CHECK(producer.append("1") == 1);
            admin("ALTER DATABASE " + database + " ALLOW_CONNECTIONS false");
            admin("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '" + database + "'");
            proxy.set(Proxy::Mode::refuse);
            proxy.cut();
            CHECK(eventually([&] { return sqlstate_of([&] { (void) client.head("s"); }) != "none"; }));
            proxy.set(Proxy::Mode::pass);
            // The pooler takes the client in, and fails its first query. No append leaves the client, so each can be
            // repeated.
            int by_pooler = 0;
            CHECK(eventually([&] {
                try {
                    producer.append("2");
                    FAIL("answered");
                } catch (const rill::Error &error) {
                    REQUIRE(error.kind() == rill::ErrorKind::connection);
                    REQUIRE_FALSE(error.outcome_unknown());
                    by_pooler += error.sqlstate() == "08P01" ? 1 : 0;
                }
                return by_pooler == 2;
            }));
            admin("ALTER DATABASE " + database + " ALLOW_CONNECTIONS true");
            std::int64_t id = 0;
            bool known = true;
            CHECK(eventually([&] {
                try {
                    if (!known)
                        producer.restart();
                    known = true;
                    id = producer.append("2");
                } catch (const rill::Error &error) {
                    REQUIRE(error.kind() == rill::ErrorKind::connection);
                    known = known && !error.outcome_unknown();
                }
                return id != 0;
            }));
            CHECK(id == 2);
        }
        admin("DROP DATABASE " + database + " WITH (FORCE)");
    }

    TEST_CASE("a pooler that is restarted, and sessions that are reset, cost nothing but time") {
        Pooler pooler("transaction", 2);
        auto options = fast_reconnect("pooler-restart");
        options.poll_interval = 100ms;
        Client client(pooler.conninfo(), options);
        Client writer(conninfo());
        const auto stream = unique("pooler-restart");
        auto reader = client.read(stream);
        for (int i = 1; i <= 40; ++i) {
            writer.append(stream, std::to_string(i));
            if (i % 10 == 0)
                pooler.restart();
            if (i % 4 == 0) {
                Admin other(pooler.conninfo());
                other("DISCARD ALL");
            }
        }
        expect_numbers(reader, 1, 40);
    }
}
