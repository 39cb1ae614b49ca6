// Calls to a real server: what they return, what their errors mean, and how they fare when their connection fails.
#include "proxy.hpp"
#include "server.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using namespace rill::test;
using rill::Client;
using rill::Options;

TEST_SUITE("server" * doctest::skip(no_server())) {
    TEST_CASE("a batch gets consecutive ids and may end the stream") {
        Client client(conninfo());
        const auto stream = unique("batch");
        const std::vector<std::string> words{"one ", "", "three"};
        CHECK(client.append_many(stream, words) == 3);
        CHECK(client.append_many(stream, std::vector<std::string_view>{}) == std::nullopt);
        const std::string data = "four";
        const std::vector<std::span<const std::byte>> spans{std::as_bytes(std::span<const char>(data))};
        CHECK(client.append_many(stream, spans, {.eof = true}) == 4);
        auto reader = client.read(stream);
        CHECK(read_all(reader) == "one threefour");
        CHECK(client.head(stream) == 4);
    }

    TEST_CASE("an append to a closed stream says so, and is neither lost nor retryable") {
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
        CHECK(read_all(reader).empty());
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

    TEST_CASE("a stream's status is read, and null where nothing is known") {
        Client client(conninfo());
        const auto stream = unique("info");
        CHECK_FALSE(client.exists(stream));
        CHECK_FALSE(client.status(stream).exists());
        client.append(stream, "12345");
        client.append(stream, "678", {.eof = true});
        CHECK(client.exists(stream));
        const auto status = client.status(stream);
        CHECK(status.name == stream);
        CHECK(status.head_id == 2);
        CHECK(status.first_id == 1);
        CHECK(status.closed);
        CHECK(status.last_at);
        CHECK_FALSE(status.limits.max_age);
        const auto size = client.size(stream);
        CHECK(size.chunks == 2);
        CHECK(size.bytes == 8);
        const auto listed = client.list(stream);
        REQUIRE(listed.size() == 1);
        CHECK(listed.front().name == stream);
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

    TEST_CASE("calls continue after their session was terminated between them") {
        const auto name = unique("calls");
        Client client(conninfo(), fast_reconnect(name));
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

    TEST_CASE("an append whose answer never comes is not retryable, and one that was never sent is") {
        Proxy proxy(conninfo());
        Options options = fast_reconnect(unique("unknown"));
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
            CHECK(error.outcome_unknown());
            CHECK_FALSE(error.retryable());
        }
        proxy.set(Proxy::Mode::refuse);
        try {
            client.append(name, "3");
            FAIL("appended through a refusal");
        } catch (const rill::Error &error) {
            CHECK(error.connection_lost());
            CHECK(error.retryable());
            CHECK_FALSE(error.outcome_unknown());
        }
        proxy.set(Proxy::Mode::pass);
        proxy.cut();
        CHECK(client.append(name, "4") >= 2);
    }
}
