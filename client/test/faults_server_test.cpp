// The client when connections fail: nothing is lost, repeated or reordered, and nothing hangs.
#include "names.hpp"
#include "proxy.hpp"
#include "server.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include <unistd.h>

using namespace std::chrono_literals;
using namespace rill::test;
using rill::Client;
using rill::Options;
using Channel = rill::Event::Channel;
using Kind = rill::Event::Kind;

namespace {

// A client that reconnects quickly, with application names of its own.
Options quick(const std::string &name) {
    Options options;
    options.reconnect_min = 1ms;
    options.reconnect_max = 20ms;
    options.application_name = name;
    return options;
}

// Numbers as chunks: the reader must see 1, 2, 3, … without a gap, a repeat or a swap.
void expect_numbers(rill::Reader &reader, int from, int to) {
    for (int i = from; i <= to; ++i)
        REQUIRE(need(reader).text() == std::to_string(i));
}

// A role that may read, and neither listen nor wait.
struct Reading {
    Reading(Admin &admin_session, const std::string &prefix)
        : admin(admin_session), name(prefix + std::to_string(::getpid())) {
        const auto &schema = admin.schema();
        admin("CREATE ROLE " + name + " LOGIN SUPERUSER");
        admin("ALTER ROLE " + name + " NOSUPERUSER");
        admin("GRANT USAGE ON SCHEMA " + schema.substr(0, schema.size() - 1) + " TO " + name);
        admin("GRANT EXECUTE ON FUNCTION " + schema + "stream_fetch(text[], bigint[], int[], int, bigint) TO " + name);
        admin("GRANT SELECT ON " + schema + "stream TO " + name);
    }
    Reading(const Reading &) = delete;
    Reading &operator=(const Reading &) = delete;
    ~Reading() {
        admin("DROP OWNED BY " + name);
        admin("DROP ROLE " + name);
    }

    Admin &admin;
    const std::string name;
    const std::string await = "stream_fetch_await(text[], bigint[], interval, int, bigint, bytea, text, text)";
};

}  // namespace

TEST_SUITE("server" * doctest::skip(no_server())) {
    TEST_CASE("a terminated LISTEN session is made again and wake-ups go on, without any poll") {
        const auto name = unique("listen-lost");
        Events events;
        Options options = quick(name);
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

    TEST_CASE("every session terminated again and again: each chunk still comes once, in order") {
        Random random(10);
        const auto name = unique("all-lost");
        Options options = quick(name);
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

    TEST_CASE("lost wake-ups cost time only: the poll finds the chunks and tells") {
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
                writer.append(name, std::to_string(i), i == 20);
                expect_numbers(reader, i, i);
            }
            CHECK(client.stats().chunks_by_poll > 0);
            CHECK(client.stats().chunks_by_notify == 0);
            // Those that came with the end as well.
            CHECK(eventually([&] { return client.stats().chunks_rescued == client.stats().chunks_by_poll; }));
            // A wait in the server looks again by itself.
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

    TEST_CASE("without the right to LISTEN it waits in the server, and goes on doing so under a statement_timeout") {
        Admin admin;
        const Reading role(admin, "rill_no_listen_");
        const auto name = unique("no-listen");
        admin("GRANT EXECUTE ON PROCEDURE " + admin.schema() + role.await + " TO " + role.name);
        admin("ALTER ROLE " + role.name + " SET statement_timeout = 300");
        admin.create(name);
        Events events;
        Options options;
        options.poll_interval = 0ms;
        options.wait_streams = 0;
        options.on_event = events.callback();
        Client client(conninfo("user=" + role.name), options);
        Client writer(conninfo());
        auto reader = client.read(name);
        REQUIRE(eventually([&] { return events.count(Kind::degraded, Channel::listen) == 1; }));
        for (int i = 1; i <= 5; ++i) {
            REQUIRE(admin.waited_for(name));
            const auto waits = client.stats().waits;
            if (i == 3)  // cancelled meanwhile, and begun again
                REQUIRE(eventually([&] { return client.stats().waits > waits + 1; }));
            writer.append(name, std::to_string(i));
            expect_numbers(reader, i, i);
        }
        CHECK(client.stats().polls == 0);
        CHECK(client.stats().reconnects == 0);
        CHECK(client.stats().chunks_by_wait > 0);
    }

    TEST_CASE("two readers of one stream at different cursors are both served by waiting alone") {
        Admin admin;
        const Reading role(admin, "rill_two_cursors_");
        const auto name = unique("two-cursors");
        admin("GRANT EXECUTE ON PROCEDURE " + admin.schema() + role.await + " TO " + role.name);
        Client writer(conninfo());
        for (int i = 1; i <= 5; ++i)
            writer.append(name, "gone");
        admin("SELECT " + admin.schema() + "stream_trim('" + name + "', 6)");
        Client client(conninfo("user=" + role.name), {.poll_interval = 0ms});
        // Nothing is between them.
        auto from_start = client.read(name);
        auto after_all = client.read(name, rill::after(5));
        REQUIRE(eventually([&] { return client.stats().readers == 2; }));
        REQUIRE(admin.waited_for(name));
        writer.append(name, "6");
        expect_numbers(from_start, 6, 6);
        expect_numbers(after_all, 6, 6);
        CHECK(client.stats().chunks_by_poll == 0);  // nor by the second look, a second later
    }

    TEST_CASE("without the right to wait in the server LISTEN alone does") {
        Admin admin;
        const Reading role(admin, "rill_no_await_");
        const auto name = unique("no-await");
        admin("GRANT EXECUTE ON FUNCTION " + admin.schema() + "stream_listen() TO " + role.name);
        Options options;
        options.poll_interval = 0ms;
        Client client(conninfo("user=" + role.name), options);
        Client writer(conninfo());
        auto reader = client.read(name);
        REQUIRE(eventually([&] { return client.stats().listening && client.stats().waits > 0; }));
        for (int i = 1; i <= 20; ++i) {
            writer.append(name, std::to_string(i));
            expect_numbers(reader, i, i);
        }
        CHECK(client.stats().chunks_by_wait + client.stats().chunks_by_notify + client.stats().chunks_caught_up == 20);
        CHECK(client.stats().chunks_by_notify > 0);
        CHECK(client.stats().reconnects == 0);
    }

    TEST_CASE("without the right to LISTEN and to wait it says why and follows by polling") {
        Admin admin;
        const Reading role(admin, "rill_poll_only_");
        const auto name = unique("degraded");
        {
            Events events;
            Options options;
            options.poll_interval = 20ms;
            options.on_event = events.callback();
            Client client(conninfo("user=" + role.name), options);
            Client writer(conninfo());
            auto reader = client.read(name);
            REQUIRE(eventually([&] { return events.count(Kind::degraded, Channel::listen) == 1; }));
            for (const auto &event : events.all())
                if (event.kind == Kind::degraded)
                    CHECK(event.sqlstate == "42501");
            for (int i = 1; i <= 5; ++i) {
                writer.append(name, std::to_string(i));
                expect_numbers(reader, i, i);
            }
            CHECK_FALSE(client.stats().listening);
            CHECK(client.stats().chunks_rescued == 0);  // nothing was expected to announce them
        }
    }

    TEST_CASE("a black hole is noticed by the poll's deadline and left when the way is free again") {
        Proxy proxy(conninfo());
        const auto name = unique("black-hole");
        Events events;
        Options options = quick(name);
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

    TEST_CASE("a connection cut in the middle of an answer gives no half page and no double one") {
        Random random(11);
        Proxy proxy(conninfo());
        const auto name = unique("cut");
        Options options = quick(name);
        options.poll_interval = 20ms;
        options.fetch_chunks = 50;
        Client client(proxy.conninfo(), options);
        Client writer(conninfo());
        constexpr int kChunks = 1'000;
        std::vector<std::string> numbers;
        for (int i = 1; i <= kChunks; ++i)
            numbers.push_back(std::to_string(i));
        writer.append_many(name, numbers, true);
        auto reader = client.read(name);
        for (int i = 1; i <= kChunks; ++i) {
            if (i % 40 == 1)
                proxy.cut_after(static_cast<std::int64_t>(random.below(1'500)));
            REQUIRE(need(reader).text() == numbers[static_cast<std::size_t>(i - 1)]);
        }
        CHECK_FALSE(reader.next());
        CHECK(reader.ended());
    }

    TEST_CASE("a server that refuses for a while is tried again, and events are told once each") {
        Proxy proxy(conninfo());
        const auto name = unique("refused");
        Options options = quick(name);
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

    TEST_CASE("the client may be closed while it cannot connect, and while the first connect hangs") {
        Proxy proxy(conninfo());
        {
            Client client(proxy.conninfo(), quick(unique("closing")));
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

    TEST_CASE("a reader may be stopped while its query is under way") {
        Proxy proxy(conninfo());
        Options options = quick(unique("stopping"));
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
        CHECK(need(another).text() == "1");
        CHECK(eventually([&] { return client.stats().readers == 1; }));
    }

    TEST_CASE("a host that does not answer is passed over for the next") {
        Proxy dead(conninfo());
        dead.set(Proxy::Mode::black_hole);
        Proxy alive(conninfo());
        Client client(conninfo() + " host=127.0.0.1,127.0.0.1 hostaddr='' sslmode=disable connect_timeout=2 port=" +
                      dead.port() + "," + alive.port());
        const auto name = unique("hosts");
        client.append(name, "x", true);
        auto reader = client.read(name);
        CHECK(drain(reader) == "x");
        CHECK(dead.accepted() >= 1);
    }

    TEST_CASE(
        "while the name service is away, the other connection goes on, and calls and close() do not wait for it") {
        Names names({"127.0.0.1"});
        Proxy proxy(conninfo());
        const auto by_name = proxy.conninfo() + " host=db.rill-test connect_timeout=2";
        const auto name = unique("names");
        Options options = quick(name);
        options.poll_interval = 20ms;
        options.call_timeout = 300ms;
        Client client(by_name, options);
        Client writer(conninfo());
        auto reader = client.read(name);
        writer.append(name, "1");
        expect_numbers(reader, 1, 1);
        REQUIRE(eventually([&] { return client.stats().listening; }));

        names.hang(true);
        Admin admin;
        CHECK(admin.terminate(name + " listen") == 1);
        REQUIRE(eventually([] { return Names::hanging() > 0; }));
        writer.append(name, "2");
        CHECK(reader.next(30s).has_value());  // by the poll, over the read connection
        try {
            client.append(name, "never sent");
            FAIL("appended without an address");
        } catch (const rill::Error &error) {
            CHECK(error.connection_lost());
            CHECK(error.retryable());
        }
        // It gives up an attempt and waits for the same look-up again.
        const auto failures = client.stats().connect_failures;
        CHECK(eventually([&] { return client.stats().connect_failures > failures; }));
        CHECK(Names::hanging() <= 2);  // of the listener and of the calls

        names.hang(false);
        CHECK(eventually([&] { return client.stats().listening; }));
        writer.append(name, "3");
        expect_numbers(reader, 3, 3);

        names.hang(true);
        CHECK(admin.terminate(name + " read") == 1);
        REQUIRE(eventually([] { return Names::hanging() > 0; }));
        client.close();
        CHECK(Names::hanging() > 0);  // it is not waited for
    }

    TEST_CASE("a name without an address is a lost connection that says so, and may get one") {
        Names names({});
        Proxy proxy(conninfo());
        const auto by_name = proxy.conninfo() + " host=db.rill-test";
        try {
            Client client(by_name);
            FAIL("connected to nowhere");
        } catch (const rill::Error &error) {
            CHECK(error.connection_lost());
            CHECK(std::string(error.what()).starts_with("could not translate host name \"db.rill-test\" to address: "));
        }
        // Beside one that has an address it does not matter.
        Client client(by_name + ",127.0.0.1 port=" + proxy.port());
        CHECK(client.append(unique("names"), "x") == 1);
    }

    TEST_CASE("a name whose first address does not answer is reached at its second") {
        Proxy alive(conninfo());
        Proxy dead(conninfo(), "127.0.0.2", std::stoi(alive.port()));
        dead.set(Proxy::Mode::black_hole);
        Names names({"127.0.0.2", "127.0.0.1"});
        Client client(alive.conninfo() + " host=db.rill-test connect_timeout=2");
        const auto name = unique("addresses");
        client.append(name, "x", true);
        auto reader = client.read(name);
        CHECK(drain(reader) == "x");
        CHECK(dead.accepted() >= 1);
    }

    TEST_CASE("after so long without a connection readers are told, if that is wanted") {
        Proxy proxy(conninfo());
        Options options = quick(unique("give-up"));
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

    TEST_CASE("calls go on when their session was ended between them") {
        const auto name = unique("calls");
        Client client(conninfo(), quick(name));
        Admin admin;
        for (int i = 1; i <= 5; ++i) {
            CHECK(client.append(name, "x") == i);
            CHECK(admin.terminate(name + " append") == 1);
            CHECK(eventually([&] { return !admin.connected(name + " append"); }));
            CHECK(client.head(name) == i);
            CHECK(admin.terminate(name + " append") == 1);
            CHECK(eventually([&] { return !admin.connected(name + " append"); }));
        }
    }

    TEST_CASE("an append whose answer never comes is lost and not retryable; one never sent is retryable") {
        Proxy proxy(conninfo());
        Options options = quick(unique("unknown"));
        options.call_timeout = 500ms;
        Client client(proxy.conninfo(), options);
        const auto name = unique("unknown");
        CHECK(client.append(name, "1") == 1);
        proxy.set(Proxy::Mode::black_hole);
        try {
            client.append(name, "2");
            FAIL("appended through a black hole");
        } catch (const rill::Error &error) {
            CHECK(error.connection_lost());
            CHECK_FALSE(error.retryable());
        }
        proxy.set(Proxy::Mode::refuse);
        try {
            client.append(name, "3");
            FAIL("appended through a refusal");
        } catch (const rill::Error &error) {
            CHECK(error.connection_lost());
            CHECK(error.retryable());
        }
        proxy.set(Proxy::Mode::pass);
        proxy.cut();
        CHECK(client.append(name, "4") >= 2);
    }

    TEST_CASE("many threads on one client, readers coming and going: everybody gets everything") {
        Random random(12);
        Options options = quick(unique("busy"));
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
                    client.append(name, std::to_string(i), i == kChunks);
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
