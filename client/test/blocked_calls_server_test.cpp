// Calls that block in the server, and calls whose time is over: what the others notice, and what is left behind.
#include "pooler.hpp"
#include "proxy.hpp"
#include "server.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using namespace rill::test;
using rill::Client;
using rill::Error;
using rill::ErrorKind;
using rill::Options;

namespace {

// While it lives, appends to the stream wait for a transaction that has closed it and not ended.
class Blockade {
public:
    explicit Blockade(std::string stream) : stream_(std::move(stream)) {
        admin_("BEGIN");
        admin_("SELECT " + admin_.schema() + "stream_close('" + stream_ + "')");
    }
    Blockade(const Blockade &) = delete;
    Blockade &operator=(const Blockade &) = delete;
    ~Blockade() { admin_("ROLLBACK"); }

private:
    std::string stream_;
    Admin admin_;
};

// Sessions of this client's calls on the server: all, or those that run a statement.
std::string sessions(Admin &admin, const std::string &name, const std::string &which = "") {
    return admin("SELECT count(*) FROM pg_stat_activity WHERE application_name = '" + name + " append'" + which);
}
std::string active(Admin &admin, const std::string &name) { return sessions(admin, name, " AND state = 'active'"); }

}  // namespace

TEST_SUITE("server" * doctest::skip(no_server())) {
    TEST_CASE("a call that blocks in the server holds up no other, and no more sessions are made than allowed") {
        const auto name = unique("blocked");
        Options options = fast_reconnect(name);
        options.call_connections = 3;
        Client client(conninfo(), options);
        Admin admin;
        std::vector<std::thread> blocked;
        std::atomic<int> stored{0};
        {
            const Blockade blockade(name);
            const auto block = [&] {
                blocked.emplace_back([&] {
                    client.append(name, "x");
                    ++stored;
                });
            };
            block();
            block();
            REQUIRE(eventually([&] { return active(admin, name) == "2"; }));
            for (int i = 1; i <= 8; ++i)
                CHECK(client.append(name + "-free", "x") == i);
            CHECK(sessions(admin, name) == "3");
            block();
            REQUIRE(eventually([&] { return active(admin, name) == "3"; }));
            block();  // waits for a connection
            CHECK(stored == 0);
        }
        for (auto &thread : blocked)
            thread.join();
        CHECK(stored == 4);
        CHECK(client.head(name) == 4);
        CHECK(sessions(admin, name) == "3");
    }

    TEST_CASE("a call that runs out of time is cancelled, and leaves nothing behind") {
        const auto name = unique("cancelled");
        Options options = fast_reconnect(name);
        options.call_timeout = 300ms;
        Client client(conninfo(), options);
        Admin admin;
        {
            const Blockade blockade(name);
            for (int i = 0; i < 8; ++i)
                try {
                    client.append(name, "x");
                    FAIL("appended to a stream whose closing is undecided");
                } catch (const Error &error) {
                    CHECK(error.sqlstate() == "57014");
                    CHECK(error.kind() == ErrorKind::other);
                    CHECK(error.retryable());
                    CHECK_FALSE(error.outcome_unknown());
                    CHECK_FALSE(error.connection_lost());
                }
            CHECK(active(admin, name) == "0");
        }
        CHECK(client.head(name) == 0);
        CHECK(client.append(name, "x") >= 1);
    }

    TEST_CASE("through a transaction pooler, too, a call that runs out of time is cancelled" *
              doctest::skip(no_server() || no_pooler())) {
        const Pooler pooler("transaction", 5);
        const auto name = unique("pooled");
        Options options = fast_reconnect(name);
        options.call_timeout = 500ms;
        Client client(pooler.conninfo(), options);
        Client direct(conninfo());
        {
            const Blockade blockade(name);
            for (int i = 0; i < 3; ++i)
                try {
                    client.append(name, "x");
                    FAIL("appended to a stream whose closing is undecided");
                } catch (const Error &error) {
                    CHECK(error.sqlstate() == "57014");
                    CHECK_FALSE(error.outcome_unknown());
                }
        }
        CHECK(direct.head(name) == 0);
        CHECK(client.append(name, "x") >= 1);
    }

    TEST_CASE("what is unsent of a call when its time is over stays unsent, and the call has no effect") {
        // A socket of this kind that poll(2) calls full takes more once a part of what it holds has been read.
        Proxy proxy(conninfo(), "unix");
        const auto name = unique("unsent");
        Options options = fast_reconnect(name);
        options.call_timeout = 300ms;
        Client client(proxy.conninfo(), options);
        Admin admin;
        Client direct(conninfo());
        std::int64_t held = 0;
        // Appends so many bytes to a stream. When the socket holds what it takes of them, the proxy reads so many
        // tenths of that, and the rest when the call is over. True: the call ended with a part unsent.
        const auto cut_short = [&](const std::string &stream, std::int64_t bytes, std::int64_t tenths) {
            const auto connected = [&] {  // unless this machine is slow
                return sqlstate_of([&] { client.append(name, "x"); }) == "none";
            };
            CHECK(eventually(connected));
            proxy.set(Proxy::Mode::gather);
            bool had_no_effect = false;
            std::thread appender([&] {
                try {
                    client.append(stream, std::string(static_cast<std::size_t>(bytes), 'x'));
                    FAIL_CHECK("appended, and nobody reads it");
                } catch (const Error &error) {
                    CHECK(error.sqlstate() == "57014");
                    CHECK(error.retryable() != error.outcome_unknown());
                    had_no_effect = error.retryable();
                }
            });
            CHECK(eventually([&] {
                const std::int64_t before = std::exchange(held, proxy.unread());
                return held > 0 && held == before;
            }));
            proxy.let_pass(held * tenths / 10);
            appender.join();
            proxy.set(Proxy::Mode::pass);
            CHECK(eventually([&] { return sessions(admin, name) == "0"; }));
            if (had_no_effect)
                CHECK_FALSE(direct.exists(stream));
            return had_no_effect;
        };
        REQUIRE(cut_short(name + "-much", 4'000'000, 0));
        const std::int64_t capacity = held;
        int cut = 0;
        for (int i = 1; cut < 3 && i <= 10; ++i)
            cut += cut_short(name + "-" + std::to_string(i), capacity + 20'000 * i, 6) ? 1 : 0;
        CHECK(cut == 3);
    }

    TEST_CASE("close() cancels the calls that wait in the server") {
        const auto name = unique("closed");
        Client client(conninfo(), fast_reconnect(name));
        Admin admin;
        const Blockade blockade(name);
        std::atomic<bool> known{false};
        std::thread appender([&] {
            try {
                client.append(name, "x");
            } catch (const rill::Closed &closed) {
                known = !closed.outcome_unknown();
            }
        });
        REQUIRE(eventually([&] { return active(admin, name) == "1"; }));
        client.close();
        appender.join();
        CHECK(known);
        CHECK(eventually([&] { return sessions(admin, name) == "0"; }));
    }

    TEST_CASE("a closed client keeps no session for calls, neither idle ones nor one that is in use") {
        const auto name = unique("no-session");
        Options options = fast_reconnect(name);
        Client client(conninfo(), options);
        Admin admin;
        rill::Producer producer(client, name + "-producer", "p");  // which may outlive the client
        {
            const Blockade blockade(name);
            std::thread blocked([&] { CHECK_THROWS_AS(client.append(name, "x"), rill::Closed); });
            REQUIRE(eventually([&] { return active(admin, name) == "1"; }));
            producer.append("x");
            CHECK(sessions(admin, name) == "2");
            client.close();
            blocked.join();
        }
        CHECK(eventually([&] { return sessions(admin, name) == "0"; }));
        CHECK_THROWS_AS(producer.append("x"), rill::Closed);
    }

    TEST_CASE("when the answer to the cancel request is lost, too, the outcome is said to be unknown") {
        Proxy proxy(conninfo());
        const auto name = unique("unknown");
        Options options = fast_reconnect(name);
        options.call_timeout = 300ms;
        Client client(proxy.conninfo(), options);
        CHECK(client.append(name, "1") == 1);
        proxy.set(Proxy::Mode::black_hole);
        try {
            client.append(name, "2");
            FAIL("appended through a black hole");
        } catch (const Error &error) {
            CHECK(error.outcome_unknown());
            CHECK(error.connection_lost());
            CHECK(error.kind() == ErrorKind::connection);
            CHECK(error.sqlstate() == "57014");
            CHECK_FALSE(error.retryable());
        }
        proxy.set(Proxy::Mode::pass);
        proxy.cut();
        CHECK(client.append(name, "3") >= 2);
    }

    TEST_CASE("a call that was done before it could be cancelled returns its result") {
        Proxy proxy(conninfo());
        const auto name = unique("late");
        Options options = fast_reconnect(name);
        options.call_timeout = 1s;
        Client client(proxy.conninfo(), options);
        CHECK(client.append(name, "1") == 1);
        proxy.set(Proxy::Mode::hold);
        const auto connections = proxy.accepted();
        std::atomic<std::int64_t> id{0};
        std::thread appender([&] { id = client.append(name, "2"); });
        // The request to cancel comes over a connection of its own; the client's others are in place.
        CHECK(eventually([&] { return proxy.accepted() > connections; }));
        proxy.set(Proxy::Mode::pass);
        appender.join();
        CHECK(id == 2);
    }

    TEST_CASE("a call without effect whose answer is lost is repeated") {
        Proxy proxy(conninfo());
        const auto name = unique("repeated");
        Client client(proxy.conninfo(), fast_reconnect(name));
        CHECK(client.append(name, "1") == 1);
        for (int i = 0; i < 5; ++i) {
            proxy.cut_after(20);
            CHECK(client.head(name) == 1);
        }
    }
}
