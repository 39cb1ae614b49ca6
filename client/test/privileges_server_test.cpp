// A role that lacks privileges: the client hears of chunks in the next best way.
#include "server.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <string>

#include <unistd.h>

using namespace std::chrono_literals;
using namespace rill::test;
using rill::Client;
using rill::Options;
using Channel = rill::Event::Channel;
using Kind = rill::Event::Kind;

namespace {

// A role that may read, but neither listen nor wait: while it is there, PUBLIC may not.
struct ReadOnlyRole {
    ReadOnlyRole(Admin &admin_session, const std::string &prefix)
        : admin(admin_session), name(prefix + std::to_string(::getpid())) {
        const auto &schema = admin.schema();
        admin("CREATE ROLE " + name + " LOGIN SUPERUSER");
        admin("ALTER ROLE " + name + " NOSUPERUSER");
        admin("GRANT USAGE ON SCHEMA " + schema.substr(0, schema.size() - 1) + " TO " + name);
        admin("GRANT SELECT ON " + schema + "stream TO " + name);
        admin("REVOKE EXECUTE ON FUNCTION " + schema + "stream_listen() FROM PUBLIC");
        admin("REVOKE EXECUTE ON PROCEDURE " + schema + await + " FROM PUBLIC");
    }
    ReadOnlyRole(const ReadOnlyRole &) = delete;
    ReadOnlyRole &operator=(const ReadOnlyRole &) = delete;
    ~ReadOnlyRole() {
        admin("GRANT EXECUTE ON FUNCTION " + admin.schema() + "stream_listen() TO PUBLIC");
        admin("GRANT EXECUTE ON PROCEDURE " + admin.schema() + await + " TO PUBLIC");
        admin("DROP OWNED BY " + name);
        admin("DROP ROLE " + name);
    }

    Admin &admin;
    const std::string name;
    const std::string await = "stream_fetch_await(text[], bigint[], interval, int, bigint, bytea, boolean, text, text)";
};

// While it lives, PUBLIC may not execute this function.
struct Revoked {
    Revoked(Admin &admin_session, const std::string &function) : admin(admin_session), name(admin.schema() + function) {
        admin("REVOKE EXECUTE ON FUNCTION " + name + " FROM PUBLIC");
    }
    Revoked(const Revoked &) = delete;
    Revoked &operator=(const Revoked &) = delete;
    ~Revoked() { admin("GRANT EXECUTE ON FUNCTION " + name + " TO PUBLIC"); }

    Admin &admin;
    const std::string name;
};

}  // namespace

TEST_SUITE("server" * doctest::skip(no_server())) {
    TEST_CASE("without the privilege to LISTEN it waits in the server, and keeps doing so under a statement_timeout") {
        Admin admin;
        const ReadOnlyRole role(admin, "rill_no_listen_");
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

    TEST_CASE("without the privilege to ask for names a stream that is created is found, and no connection is lost") {
        Admin admin;
        const ReadOnlyRole role(admin, "rill_no_names_");
        const Revoked names(admin, "stream_names(bigint[])");
        admin("GRANT EXECUTE ON FUNCTION " + admin.schema() + "stream_listen() TO " + role.name);
        const auto name = unique("no-names");
        Events events;
        Options options;
        options.poll_interval = 0ms;
        options.wait_streams = 0;
        options.on_event = events.callback();
        Client client(conninfo("user=" + role.name), options);
        Client writer(conninfo());
        auto reader = client.read(name);
        auto created = client.read(name + "-created");
        REQUIRE(eventually([&] { return client.stats().listening; }));
        for (int i = 1; i <= 5; ++i) {
            writer.append(name + "-foreign-" + std::to_string(i), "x");
            writer.append(name, std::to_string(i));
            expect_numbers(reader, i, i);
        }
        for (int i = 1; i <= 5; ++i) {
            writer.append(name + "-created", std::to_string(i));
            expect_numbers(created, i, i);
        }
        CHECK(client.stats().reconnects == 0);
        CHECK(events.count(Kind::disconnected, Channel::read) == 0);
    }

    TEST_CASE("waiting alone serves two readers of one stream at different cursors") {
        Admin admin;
        const ReadOnlyRole role(admin, "rill_two_cursors_");
        const auto name = unique("two-cursors");
        admin("GRANT EXECUTE ON PROCEDURE " + admin.schema() + role.await + " TO " + role.name);
        Client writer(conninfo());
        for (int i = 1; i <= 5; ++i)
            writer.append(name, "gone");
        admin("SELECT " + admin.schema() + "stream_trim('" + name + "', 6)");
        Client client(conninfo("user=" + role.name), {.poll_interval = 0ms});
        // There is no chunk between the two cursors.
        auto from_start = client.read(name);
        auto after_all = client.read(name, rill::after(5));
        REQUIRE(eventually([&] { return client.stats().readers == 2; }));
        REQUIRE(admin.waited_for(name));
        writer.append(name, "6");
        expect_numbers(from_start, 6, 6);
        expect_numbers(after_all, 6, 6);
        CHECK(client.stats().chunks_by_poll == 0);  // nor by the second look, a second later
    }

    TEST_CASE("without the privilege to wait in the server, LISTEN alone serves") {
        Admin admin;
        const ReadOnlyRole role(admin, "rill_no_await_");
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

    TEST_CASE("without the privileges to LISTEN and to wait it says why, and polls") {
        Admin admin;
        const ReadOnlyRole role(admin, "rill_poll_only_");
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
}
