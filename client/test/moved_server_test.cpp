// An extension that goes to another schema, or goes away and comes back, under the eyes of a client.
#include "server.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

using namespace std::chrono_literals;
using namespace rill::test;
using rill::Client;
using rill::Options;
using Channel = rill::Event::Channel;
using Kind = rill::Event::Kind;

namespace {

// A database of the test's own with the extension in schema "one".
class Database {
public:
    Database() : name_("moved_" + std::to_string(std::chrono::steady_clock::now().time_since_epoch().count())) {
        server_("CREATE DATABASE " + name_);
        admin_ = std::make_unique<Admin>(conninfo());
        create("one");
    }
    Database(const Database &) = delete;
    Database &operator=(const Database &) = delete;
    ~Database() {
        admin_.reset();
        server_("DROP DATABASE " + name_ + " WITH (FORCE)");
    }

    [[nodiscard]] std::string conninfo() const { return rill::test::conninfo("dbname=" + name_); }
    void run(const std::string &sql) { (*admin_)(sql); }
    void create(const std::string &schema) {
        run("CREATE SCHEMA IF NOT EXISTS " + schema);
        run("CREATE EXTENSION pg_rill SCHEMA " + schema);
    }

private:
    std::string name_;
    Admin server_;
    std::unique_ptr<Admin> admin_;
};

}  // namespace

TEST_SUITE("server" * doctest::skip(no_server())) {
    TEST_CASE("a schema that is renamed is found again by readers and calls, by wait, by NOTIFY and by the poll") {
        for (const int way : {0, 1, 2}) {
            CAPTURE(way);
            Database database;
            auto options = fast_reconnect("moved");
            options.poll_interval = way == 2 ? 50ms : 0ms;
            options.wait_streams = way == 0 ? 64 : 0;
            Client client(database.conninfo(), options);
            auto reader = client.read("s");
            auto later = client.read("later");
            REQUIRE(eventually([&] { return client.stats().listening; }));
            std::string schema = "one";
            for (int i = 1; i <= 5; ++i) {
                client.append("s", std::to_string(i));
                CHECK(next_chunk(reader).text() == std::to_string(i));
                const std::string next = "renamed" + std::to_string(i);
                database.run("ALTER SCHEMA " + schema + " RENAME TO " + next);
                schema = next;
                // A trap: another schema in the old one's place.
                database.run("CREATE SCHEMA " + (i == 1 ? std::string("one") : "renamed" + std::to_string(i - 1)));
            }
            client.append("later", "x", {.eof = true});
            CHECK(read_all(later) == "x");
            CHECK(client.head("s") == 5);
            CHECK_FALSE(reader.next(0ms));
        }
    }

    TEST_CASE("calls find the extension again after it has moved, and say when it is gone") {
        Database database;
        Client client(database.conninfo());
        CHECK(client.append("s", "x") == 1);
        database.run("DROP EXTENSION pg_rill");
        database.create("two");
        CHECK(client.append("s", "x") == 1);
        database.run("ALTER SCHEMA two RENAME TO three");
        CHECK(client.append("s", "x") == 2);
        CHECK(client.status("s").exists());
        database.run("DROP EXTENSION pg_rill");
        CHECK(sqlstate_of([&] { client.append("s", "x"); }) == "42704");
        database.create("one");
        CHECK(client.append("s", "x") == 1);
    }

    TEST_CASE("a schema that is renamed again before it is used where it was found ends no reader") {
        Database database;
        auto options = fast_reconnect("renamed-on-and-on");
        options.poll_interval = 5ms;
        Client client(database.conninfo(), options);
        auto reader = client.read("s");
        client.append("s", "first");
        CHECK(next_chunk(reader).text() == "first");
        std::atomic<bool> done{false};
        std::thread renamer([&] {
            while (!done) {
                database.run("ALTER SCHEMA one RENAME TO two");
                database.run("ALTER SCHEMA two RENAME TO one");
            }
        });
        const bool met = eventually([&] { return client.stats().reconnects >= 20; });
        done = true;
        renamer.join();
        CHECK(met);
        client.append("s", "last", {.eof = true});
        CHECK(read_all(reader) == "last");
    }

    TEST_CASE("an extension that is dropped and made again elsewhere is found by readers of streams to come") {
        Database database;
        auto options = fast_reconnect("made-again");
        options.poll_interval = 50ms;
        Client client(database.conninfo(), options);
        auto reader = client.read("new");
        for (const char *const schema : {"two", "three", "two"}) {
            database.run("BEGIN");
            database.run("DROP EXTENSION pg_rill");
            database.create(schema);
            database.run("COMMIT");
            client.append("other", "x");
            CHECK_FALSE(reader.next(0ms));
        }
        client.append("new", "x", {.eof = true});
        CHECK(read_all(reader) == "x");
    }

    TEST_CASE("while the extension is away, errors and events say what is missing, and readers wait for it") {
        Database database;
        Events events;
        auto options = fast_reconnect("away");
        options.poll_interval = 50ms;
        options.on_event = events.callback();
        Client client(database.conninfo(), options);
        auto reader = client.read("s");
        client.append("gone", "x");
        auto with_cursor = client.read("gone");
        CHECK(next_chunk(with_cursor).text() == "x");
        database.run("DROP EXTENSION pg_rill");
        REQUIRE(eventually([&] {
            for (const auto &event : events.all())
                if (event.kind == Kind::disconnected && event.channel == Channel::read && event.sqlstate == "42704" &&
                    event.hint.find("CREATE EXTENSION") != std::string::npos)
                    return true;
            return false;
        }));
        CHECK(sqlstate_of([&] { client.append("s", "x"); }) == "42704");
        database.create("two");
        client.append("s", "x", {.eof = true});
        CHECK(read_all(reader) == "x");
        // The chunk that it has read is no more.
        const auto state = sqlstate_of([&] { (void) with_cursor.next(60s); });
        CHECK((state == "RL003" || state == "RL007"));
    }

    TEST_CASE("an answer to an append that makes no sense leaves its outcome unknown") {
        Database database;
        for (const std::string name : {"stream_append", "stream_try_append"}) {
            const std::string real = "ALTER EXTENSION pg_rill DROP FUNCTION one." + name + ";";
            database.run(real + "ALTER FUNCTION one." + name + " RENAME TO real_" + name);
        }
        database.run(
            "CREATE FUNCTION one.stream_append(text, bytea, boolean, bigint) RETURNS SETOF bigint LANGUAGE sql AS "
            "'SELECT one.real_stream_append($1, $2) UNION ALL SELECT 7'");
        database.run(
            "CREATE FUNCTION one.stream_try_append(text, bytea[], boolean, bigint, text, bigint, bigint, text, "
            "boolean) RETURNS TABLE (outcome text, chunk_id bigint, producer_epoch bigint, producer_seq bigint, "
            "closed boolean) LANGUAGE sql AS 'SELECT ''odd'', t.chunk_id, t.producer_epoch, t.producer_seq, "
            "t.closed FROM one.real_stream_try_append($1, $2) t'");
        Client client(database.conninfo());
        const auto unknown = [](const auto &call) {
            try {
                (void) call();
            } catch (const rill::Error &error) {
                CHECK(error.sqlstate() == "08P01");
                return error.outcome_unknown();
            }
            return false;
        };
        CHECK(unknown([&] { return client.append("s", "x"); }));
        CHECK(unknown([&] { return client.try_append("s", "y"); }));
        CHECK(unknown([&] { return client.append("s", "z", {.create_stream = false}); }));
        CHECK(client.status("s").head_id == 3);
    }
}
