// Producers: what they append is in the stream once, whatever fails meanwhile (I10).
#include "proxy.hpp"
#include "server.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

using namespace std::chrono_literals;
using namespace rill::test;
using rill::Client;
using rill::Error;
using rill::ErrorKind;
using rill::Options;
using rill::Producer;

namespace {

ErrorKind kind_of(const std::function<void()> &action) {
    try {
        action();
    } catch (const Error &error) {
        return error.kind();
    }
    FAIL("no error");
    return ErrorKind::other;
}

// All data of the stream, a space behind each chunk.
std::string contents(Client &client, const std::string &stream) {
    std::string all;
    auto reader = client.read(stream);
    const auto head = client.head(stream);
    while (reader.position().id < head) {
        const auto chunk = reader.next(60s);
        if (!chunk)
            break;
        all.append(chunk->text()).append(" ");
    }
    return all;
}

std::string numbers(int from, int to) {
    std::string all;
    for (int i = from; i <= to; ++i)
        all.append(std::to_string(i)).append(" ");
    return all;
}

}  // namespace

TEST_SUITE("server" * doctest::skip(no_server())) {
    TEST_CASE("a producer numbers its appends, and one that begins later knows the last and fences it off") {
        Client client(conninfo());
        const auto name = unique("producer");
        Producer first(client, name, "p");
        CHECK_FALSE(first.last());
        CHECK(client.status(name).exists());
        CHECK(first.append("1") == 1);
        CHECK(first.append_many(std::vector<std::string>{"2", "3"}) == 3);
        CHECK(first.append_many(std::vector<std::string>{}) == std::nullopt);
        CHECK(first.last() == rill::ProducerState{first.epoch(), 2, 3});
        CHECK(client.producer_state(name, "p") == first.last());

        Producer second(client, name, "p");
        CHECK(second.epoch() > first.epoch());
        CHECK(second.last() == first.last());
        CHECK(client.producer_state(name, "p") == rill::ProducerState{second.epoch(), 0, 3});
        try {
            first.append("late");
            FAIL("not fenced");
        } catch (const Error &error) {
            CHECK(error.kind() == ErrorKind::fenced);
            CHECK(error.sqlstate() == "RL005");
        }
        CHECK(second.append("4") == 4);
        CHECK(kind_of([&] { first.append("late"); }) == ErrorKind::fenced);

        // Those that appended nothing leave what is known as it was.
        Producer third(client, name, "p");
        const Producer fourth(client, name, "p");
        CHECK(fourth.last() == rill::ProducerState{second.epoch(), 1, 4});
        CHECK(kind_of([&] { third.append("late"); }) == ErrorKind::fenced);
        Producer other(client, name, "q");
        CHECK_FALSE(other.last());
        CHECK(other.append("5") == 5);
        CHECK(contents(client, name) == numbers(1, 5));
    }

    TEST_CASE("refused appends use no number") {
        Client client(conninfo());
        const auto name = unique("refused");
        Producer producer(client, name, "p");
        try {
            producer.append("x", {.expected = 7});
            FAIL("stored");
        } catch (const Error &error) {
            CHECK(error.kind() == ErrorKind::mismatch);
            CHECK(error.chunk_id() == 0);
        }
        CHECK(producer.append("1", {.expected = 0}) == 1);
        CHECK(producer.last()->seq == 1);
        CHECK(producer.append("2", {.eof = true}) == 2);
        CHECK(kind_of([&] { producer.append("3"); }) == ErrorKind::closed);
        const Producer later(client, name, "p");
        CHECK(later.last() == rill::ProducerState{producer.epoch(), 2, 2});
        client.delete_stream(name);
        CHECK(kind_of([&] { producer.append("3"); }) == ErrorKind::gap);
        CHECK(kind_of([&] { producer.append("3", {.create_stream = false}); }) == ErrorKind::missing);
    }

    TEST_CASE("an append whose answer is lost is stored once, wherever the connection is cut") {
        Random random(21);
        Proxy proxy(conninfo());
        const auto name = unique("lost-answers");
        Client client(proxy.conninfo(), fast_reconnect(name));
        Client direct(conninfo());
        Producer producer(client, name, "p");
        constexpr int kAppends = 200;
        int next = 1;
        std::string expected;
        while (next <= kAppends) {
            // Sometimes before the server has answered anything, sometimes in the middle of the answer or of
            // connecting.
            if (random.one_in(3))
                proxy.cut_after(static_cast<std::int64_t>(random.below(400)));
            std::vector<std::string> batch;
            for (auto n = 1 + random.below(3); n > 0; --n)
                batch.push_back(std::to_string(next++));
            if (batch.size() == 1)
                producer.append(batch.front());
            else
                producer.append_many(batch);
        }
        CHECK(contents(direct, name) == numbers(1, next - 1));
        CHECK(direct.producer_state(name, "p") == producer.last());
    }

    TEST_CASE("an append that was committed before its answer was lost is a repeat, and keeps its id") {
        Proxy proxy(conninfo());
        const auto name = unique("committed");
        Client client(proxy.conninfo(), fast_reconnect(name));
        Client direct(conninfo());
        Producer producer(client, name, "p");
        for (int i = 1; i <= 10; ++i) {
            proxy.set(Proxy::Mode::hold);  // the server's answers are held back
            std::int64_t id = 0;
            std::thread appender([&] { id = producer.append(std::to_string(i)); });
            REQUIRE(eventually([&] { return direct.head(name) == i; }));
            proxy.cut();
            proxy.set(Proxy::Mode::pass);
            appender.join();
            CHECK(id == i);
        }
        CHECK(contents(direct, name) == numbers(1, 10));
    }

    TEST_CASE("a producer without a connection gives up when told to, says that it does not know, and finds out") {
        Proxy proxy(conninfo());
        const auto name = unique("give-up");
        Options options = fast_reconnect(name);
        options.call_timeout = 200ms;
        Client client(proxy.conninfo(), options);
        Client direct(conninfo());
        Producer producer(client, name, "p", {.retry_for = 100ms});
        producer.append("1");
        for (const bool stored : {true, false}) {
            proxy.set(stored ? Proxy::Mode::hold : Proxy::Mode::black_hole);
            try {
                producer.append("2");
                FAIL("answered");
            } catch (const Error &error) {
                CHECK(error.outcome_unknown());
            }
            CHECK(kind_of([&] { producer.append("3"); }) == ErrorKind::usage);
            proxy.cut();
            proxy.set(Proxy::Mode::pass);
            producer.restart();
            CHECK(producer.last()->chunk_id == 2);
        }
        CHECK(producer.append("3") == 3);
        CHECK(contents(direct, name) == numbers(1, 3));
    }

    TEST_CASE("sessions that are terminated again and again neither lose nor repeat a producer's chunk") {
        Random random(22);
        const auto name = unique("terminated");
        Client client(conninfo(), fast_reconnect(name));
        std::atomic<bool> done{false};
        std::atomic<int> killed{0};
        std::thread killer([&] {
            Admin admin;
            while (!done) {
                killed += admin.terminate(name + " append");
                std::this_thread::sleep_for(std::chrono::milliseconds(random.below(10)));
            }
        });
        Producer producer(client, name, "p");
        constexpr int kAppends = 300;
        constexpr int kAppendsAtMost = 20'000;
        int appended = 0;
        while (appended < kAppends || (killed < 10 && appended < kAppendsAtMost))
            producer.append(std::to_string(++appended));
        done = true;
        killer.join();
        CHECK(killed >= 10);
        CHECK(contents(client, name) == numbers(1, appended));
    }

    TEST_CASE("an instance that begins waits for what its predecessor has under way, and is told of it") {
        Client client(conninfo());
        const auto name = unique("under-way");
        Producer first(client, name, "p");
        first.append("1");
        Admin admin;
        for (const char *const end : {"COMMIT", "ROLLBACK"}) {
            const auto state = client.producer_state(name, "p");
            admin("BEGIN");
            admin("SELECT " + admin.schema() + "stream_append('" + name +
                  "', '2', producer => 'p', producer_epoch => " + std::to_string(state->epoch) + ", producer_seq => " +
                  std::to_string(state->seq + 1) + ")");
            std::atomic<bool> begun{false};
            std::optional<Producer> next;
            std::thread starter([&] {
                next.emplace(client, name, "p");
                begun = true;
            });
            Admin watcher;
            REQUIRE(eventually([&] {
                return watcher("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%stream_producer_begin%' AND "
                               "wait_event_type = 'Lock'") != "0";
            }));
            CHECK_FALSE(begun);
            admin(end);
            starter.join();
            CHECK(next->last()->chunk_id == 2);
        }
    }

    TEST_CASE("a producer survives its client, and a forked child can do nothing with it") {
        std::optional<Client> client(std::in_place, conninfo());
        const auto name = unique("outlives");
        Producer producer(*client, name, "p");
        producer.append("1");
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            int wrong = 1;
            try {
                producer.append("child");
            } catch (const Error &error) {
                wrong = error.kind() == ErrorKind::usage ? 0 : 2;
            }
            { const Producer gone(std::move(producer)); }
            ::_exit(wrong);
        }
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        CHECK(status == 0);
        CHECK(producer.append("2") == 2);
        const Producer moved(std::move(producer));
        CHECK(kind_of([&] { producer.append("3"); }) == ErrorKind::usage);  // NOLINT(bugprone-use-after-move)
        Producer last(*client, name, "p");
        client.reset();
        CHECK_THROWS_AS(last.append("3"), rill::Closed);
    }

    // A program that copies its input, the numbers from 1, into a stream, and is killed at any moment; each incarnation
    // finds its place by the last chunk that was accepted.
    TEST_CASE("a program that is killed again and again appends its input once") {
        const auto name = unique("killed");
        Client client(conninfo());
        constexpr int kInput = 300;
        Random random(23);
        int incarnations = 0;
        for (bool finished = false; !finished; ++incarnations) {
            REQUIRE(incarnations < 500);
            const pid_t child = ::fork();
            REQUIRE(child >= 0);
            if (child == 0) {
                // A program of its own: a child of a process with threads may not make threads under ThreadSanitizer.
                ::setenv("RILL_TEST_PRODUCE", name.c_str(), 1);
                ::execl("/proc/self/exe", "client_test", "-tc=helper: copies numbers into a stream", "-m", "-ns",
                        static_cast<char *>(nullptr));
                ::_exit(127);
            }
            const auto enough = client.head(name) + 1 + static_cast<std::int64_t>(random.below(60));
            int status = 0;
            pid_t ended = 0;
            REQUIRE(eventually([&] {
                ended = ::waitpid(child, &status, WNOHANG);
                return ended != 0 || client.head(name) >= enough;
            }));
            if (ended == 0) {
                ::kill(child, SIGKILL);
                ended = ::waitpid(child, &status, 0);
            }
            REQUIRE(ended == child);
            finished = WIFEXITED(status) && WEXITSTATUS(status) == 0;
            REQUIRE((finished || WIFSIGNALED(status)));
        }
        MESSAGE(incarnations << " incarnations");
        CHECK(contents(client, name) == numbers(1, kInput));
    }
}

TEST_CASE("helper: copies numbers into a stream" * doctest::skip()) {
    const char *const name = std::getenv("RILL_TEST_PRODUCE");
    if (name == nullptr)
        return;
    Client client(std::getenv("RILL_TEST_CONNINFO"));
    Producer producer(client, name, "copier");
    int done = 0;
    if (const auto last = producer.last()) {
        auto reader = client.read(name, rill::after(*last->chunk_id - 1));
        done = std::stoi(std::string(next_chunk(reader).text()));
    }
    for (int i = done + 1; i <= 300; ++i)
        producer.append(std::to_string(i));
}
