// The client itself with a real server: how it begins and ends, its thread and its callbacks.
#include "loop.hpp"
#include "server.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <sys/resource.h>

using namespace std::chrono_literals;
using namespace rill::test;
using rill::Client;

TEST_SUITE("server" * doctest::skip(no_server())) {
    TEST_CASE("the constructor reports a missing server and a database without the extension") {
        CHECK(sqlstate_of([] { Client client(conninfo("dbname=template1")); }) == "42704");
        try {
            Client client("host=127.0.0.1 port=1 user=nobody");
            FAIL("connected to port 1");
        } catch (const rill::Error &error) {
            CHECK(error.connection_lost());
        }
    }

    TEST_CASE("the background loop does its chore at the chore's interval, without readers and without a poll") {
        using namespace rill::detail;
        const Conninfo where(conninfo(), "chore");
        rill::Options options;
        options.poll_interval = 0ms;
        const auto mailbox = std::make_shared<Mailbox>();
        Counters counters;
        Loop loop(where, where, options, mailbox, counters);
        std::atomic<int> done{0};
        loop.every(1ms, [&](TimePoint) { ++done; });
        std::promise<void> connected;
        std::thread thread([&] { loop.run(std::move(connected)); });
        CHECK(eventually([&] { return done >= 3; }));
        mailbox->request_stop();
        thread.join();
    }

    TEST_CASE("a process without free file descriptors gets an Error from the constructor and from calls") {
        Client client(conninfo());
        rlimit before{};
        REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
        const rlimit none{3, before.rlim_max};
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
        const auto made = sqlstate_of([] { Client another("host=127.0.0.1 port=1"); });
        std::string called;
        try {
            client.append("x", "y");
        } catch (const rill::Error &error) {
            called = rill::to_string(error.kind());
        }
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
        CHECK(made == "53000");
        CHECK(called == "connection");
    }

    TEST_CASE("durations too long to be added to the clock mean forever") {
        constexpr auto never = std::chrono::milliseconds::max();
        Client client(conninfo(), {.poll_interval = never,
                                   .response_timeout = never,
                                   .call_timeout = never,
                                   .reconnect_min = never,
                                   .reconnect_max = never,
                                   .give_up_after = never});
        const auto stream = unique("never");
        client.append(stream, "x", {.eof = true});
        auto reader = client.read(stream);
        CHECK(read_all(reader) == "x");
        CHECK(client.stats().polls == 0);
    }

    TEST_CASE("the background thread leaves signals to the program, but not its own faults") {
        const auto threads = [] {
            std::set<std::filesystem::path> all;
            for (const auto &task : std::filesystem::directory_iterator("/proc/self/task"))
                all.insert(task.path());
            return all;
        };
        const auto before = threads();
        Client client(conninfo());
        int background = 0;
        for (const auto &task : threads()) {
            if (before.contains(task))
                continue;
            std::ifstream status(task / "status");
            std::uint64_t blocked = 0;
            for (std::string line; std::getline(status, line);)
                if (line.starts_with("SigBlk:"))
                    blocked = std::stoull(line.substr(7), nullptr, 16);
            const auto blocks = [blocked](int signal) { return (blocked >> (signal - 1) & 1) != 0; };
            CHECK_FALSE(blocks(SIGSEGV));
            background += blocks(SIGTERM) ? 1 : 0;
        }
        CHECK(background >= 1);
    }

    TEST_CASE("stop() ends a pending next(), and close() ends it with Closed") {
        Client client(conninfo());
        auto stopped = client.read(unique("stop"));
        auto closed = client.read(unique("close"));
        std::atomic<bool> was_closed{false};
        std::thread waits_for_stop([&] { CHECK_FALSE(stopped.next()); });
        std::thread waits_for_close([&] {
            try {
                (void) closed.next();
            } catch (const rill::Closed &) {
                was_closed = true;
            }
        });
        stopped.stop();
        stopped.stop();
        waits_for_stop.join();
        CHECK(stopped.stopped());
        CHECK_FALSE(stopped.ended());
        client.close();
        client.close();
        waits_for_close.join();
        CHECK(was_closed);
        CHECK_THROWS_AS((void) client.read("x"), rill::Closed);
        CHECK_THROWS_AS(client.append("x", "y"), rill::Closed);
    }

    TEST_CASE("a reader can outlive its client") {
        std::optional<rill::Reader> reader;
        {
            Client client(conninfo());
            reader.emplace(client.read(unique("outlive")));
        }
        CHECK_THROWS_AS((void) reader->next(), rill::Closed);
        reader->stop();
    }

    TEST_CASE("several threads can close a client at once") {
        for (int round = 0; round < 5; ++round) {
            Client client(conninfo());
            auto reader = client.read(unique("closers"));
            std::vector<std::thread> closers;
            for (int i = 0; i < 4; ++i)
                closers.emplace_back([&] { client.close(); });
            CHECK_THROWS_AS((void) reader.next(), rill::Closed);
            for (auto &closer : closers)
                closer.join();
            CHECK_THROWS_AS((void) client.head("x"), rill::Closed);
        }
    }

    TEST_CASE("an exception from a callback is swallowed and counted, and close() can be called in one") {
        Client *self = nullptr;
        std::atomic<bool> armed{false};
        Client client(conninfo(), {.poll_interval = 50ms, .on_event = [&](const rill::Event &) {
                                       if (armed.exchange(false))
                                           self->close();
                                       throw std::runtime_error("from a callback");
                                   }});
        self = &client;
        CHECK(client.stats().callback_errors >= 1);
        armed = true;
        auto reader = client.read(unique("callback"));  // brings the event that LISTEN is in place
        CHECK_THROWS_AS((void) reader.next(), rill::Closed);
    }
}
