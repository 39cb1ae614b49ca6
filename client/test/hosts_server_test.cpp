// Connecting through host lists and a name service that fail.
#include "name_service.hpp"
#include "proxy.hpp"
#include "server.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace std::chrono_literals;
using namespace rill::test;
using rill::Client;
using rill::Options;

TEST_SUITE("server" * doctest::skip(no_server())) {
    TEST_CASE("a host that does not answer is skipped for the next") {
        Proxy dead(conninfo());
        dead.set(Proxy::Mode::black_hole);
        Proxy alive(conninfo());
        Client client(conninfo() + " host=127.0.0.1,127.0.0.1 hostaddr='' sslmode=disable connect_timeout=2 port=" +
                      dead.port() + "," + alive.port());
        const auto name = unique("hosts");
        client.append(name, "x", {.eof = true});
        auto reader = client.read(name);
        CHECK(read_all(reader) == "x");
        CHECK(dead.accepted() >= 1);
    }

    TEST_CASE(
        "while the name service is down, the other connection continues, and neither calls nor close() wait for it") {
        NameService names({"127.0.0.1"});
        Proxy proxy(conninfo());
        const auto by_name = proxy.conninfo() + " host=db.rill-test connect_timeout=2";
        const auto name = unique("names");
        Options options = fast_reconnect(name);
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
        REQUIRE(eventually([] { return NameService::hanging() > 0; }));
        writer.append(name, "2");
        CHECK(reader.next(30s).has_value());  // by the poll, over the read connection
        try {
            client.append(name, "never sent");
            FAIL("appended without an address");
        } catch (const rill::Error &error) {
            CHECK(error.connection_lost());
            CHECK(error.retryable());
        }
        // An attempt fails, and the next one waits for the same look-up.
        const auto failures = client.stats().connect_failures;
        CHECK(eventually([&] { return client.stats().connect_failures > failures; }));
        CHECK(NameService::hanging() <= 2);  // of the listener and of the calls

        names.hang(false);
        CHECK(eventually([&] { return client.stats().listening; }));
        writer.append(name, "3");
        expect_numbers(reader, 3, 3);

        names.hang(true);
        CHECK(admin.terminate(name + " read") == 1);
        REQUIRE(eventually([] { return NameService::hanging() > 0; }));
        client.close();
        CHECK(NameService::hanging() > 0);  // it is not waited for
    }

    TEST_CASE("a name without an address is reported, and does not matter beside one that has an address") {
        NameService names({});
        Proxy proxy(conninfo());
        const auto by_name = proxy.conninfo() + " host=db.rill-test";
        try {
            Client client(by_name);
            FAIL("connected to nowhere");
        } catch (const rill::Error &error) {
            CHECK(error.connection_lost());
            CHECK(std::string(error.what()).starts_with("could not translate host name \"db.rill-test\" to address: "));
        }
        // It does not matter beside a name that has an address.
        Client client(by_name + ",127.0.0.1 port=" + proxy.port());
        CHECK(client.append(unique("names"), "x") == 1);
    }

    TEST_CASE("a name whose first address does not answer is reached at its second") {
        Proxy alive(conninfo());
        Proxy dead(conninfo(), "127.0.0.2", std::stoi(alive.port()));
        dead.set(Proxy::Mode::black_hole);
        NameService names({"127.0.0.2", "127.0.0.1"});
        Client client(alive.conninfo() + " host=db.rill-test connect_timeout=2");
        const auto name = unique("addresses");
        client.append(name, "x", {.eof = true});
        auto reader = client.read(name);
        CHECK(read_all(reader) == "x");
        CHECK(dead.accepted() >= 1);
    }
}
