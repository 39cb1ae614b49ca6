// Calls that manage streams and ask about them, and appends with options.
#include "server.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <ranges>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using namespace rill::test;
using rill::AppendOutcome;
using rill::Client;
using rill::Error;
using rill::ErrorKind;

TEST_SUITE("server" * doctest::skip(no_server())) {
    TEST_CASE("a stream is created with limits and metadata, changed, asked about, trimmed and deleted") {
        Client client(conninfo());
        const auto name = unique("kept");
        const rill::Limits limits{.max_age = 90min,
                                  .max_chunks = 1'000,
                                  .max_bytes = 1'000'000,
                                  .delete_after_close = 24h * 400,
                                  .max_idle = 1500us,
                                  .expires_at = std::chrono::system_clock::time_point(24h * 365 * 100)};
        CHECK_FALSE(client.status(name).exists());
        CHECK_FALSE(client.set_limits(name, limits));
        CHECK_FALSE(client.touch(name));
        CHECK(client.create(name, {.max_chunks = 5}, R"({"type": "text/plain"})"));
        CHECK_FALSE(client.create(name));
        auto status = client.status(name);
        CHECK(status.exists());
        CHECK(status.name == name);
        CHECK(status.head_id == 0);
        CHECK(status.metadata == R"({"type": "text/plain"})");
        CHECK(status.limits == rill::Limits{.max_chunks = 5});
        CHECK(client.set_limits(name, {.max_age = 1h, .max_bytes = 7}));
        CHECK(client.status(name).limits == rill::Limits{.max_age = 1h, .max_bytes = 7});
        CHECK(client.set_limits(name, {}));
        CHECK(client.status(name).limits == rill::Limits());
        CHECK(client.set_metadata(name, std::nullopt));
        CHECK_FALSE(client.status(name).metadata);
        CHECK(client.touch(name));
        CHECK(sqlstate_of([&] { client.set_metadata(name, "{"); }) == "22P02");

        client.append_many(name, std::vector<std::string>{"1", "22", "333"});
        client.close_stream(name);
        status = client.status(name);
        CHECK(status.head_id == 4);
        CHECK(status.last_data_id == 3);
        CHECK(status.first_id == 1);
        CHECK(status.closed);
        CHECK(status.last_at >= status.first_at);
        CHECK(client.size(name).chunks == 3);
        CHECK(client.size(name).bytes == 6);
        CHECK(client.size(name, 2).bytes == 3);
        CHECK(client.trim(name, 3) == 2);
        CHECK(client.status(name).trimmed_through == 2);
        CHECK(client.delete_stream(name));
        CHECK_FALSE(client.delete_stream(name));
        CHECK_FALSE(client.status(name).exists());

        const auto other = unique("all-limits");
        CHECK(client.create(other, limits));
        CHECK(client.status(other).limits == limits);
    }

    TEST_CASE("streams are listed by prefix, page by page") {
        Client client(conninfo());
        const auto prefix = unique("list") + "/%_";
        for (const char *const end : {"b", "a", "c"})
            client.append(prefix + end, end);
        CHECK(client.names(prefix) == std::vector<std::string>{prefix + "a", prefix + "b", prefix + "c"});
        CHECK(client.names(prefix, prefix + "a", 1) == std::vector<std::string>{prefix + "b"});
        const auto all = client.list(prefix);
        REQUIRE(all.size() == 3);
        CHECK(all[2].name == prefix + "c");
        CHECK(all[2].head_id == 1);
        CHECK(client.list(prefix, prefix + "c").empty());
        CHECK(sqlstate_of([&] { (void) client.names(std::string_view("\0", 1)); }) == "22023");
    }

    TEST_CASE("appends with options: what hinders them is an error of its kind, with what a program needs") {
        Client client(conninfo());
        const auto name = unique("options");
        const auto error_of = [](auto &&action) {
            try {
                action();
            } catch (const Error &error) {
                return error;
            }
            return Error("none");
        };
        CHECK(error_of([&] { client.append(name, "x", {.create_stream = false}); }).kind() == ErrorKind::missing);
        CHECK(client.append(name, "1", {.expected = 0}) == 1);
        CHECK(client.append(name, "2", {.expected = 1, .create_stream = false}) == 2);
        for (const bool create : {true, false}) {
            const auto error = error_of([&] { client.append(name, "x", {.expected = 1, .create_stream = create}); });
            CHECK(error.kind() == ErrorKind::mismatch);
            CHECK(error.chunk_id() == 2);
        }
        CHECK(client.append_many(name, std::vector<std::string>{}, {.eof = true, .create_stream = false}) ==
              std::nullopt);
        CHECK_FALSE(client.status(name).closed);
        CHECK(client.append_many(name, std::vector<std::string>{"3", "4"}, {.eof = true, .expected = 2}) == 4);
        for (const bool create : {true, false}) {
            const auto error = error_of([&] { client.append(name, "x", {.create_stream = create}); });
            CHECK(error.kind() == ErrorKind::closed);
            CHECK(error.sqlstate() == "RL001");
            CHECK(error.chunk_id() == 4);
        }
        CHECK(error_of([&] { client.append(name, std::string(17 << 20, 'x')); }).kind() == ErrorKind::usage);
        CHECK(error_of([&] { (void) client.seek_time(name, "yesteryear"); }).kind() == ErrorKind::usage);
    }

    TEST_CASE("try_append returns every outcome as a value") {
        Client client(conninfo());
        const auto name = unique("try");
        const auto outcome = [&](const rill::TryAppendOptions &options) {
            return client.try_append(name, "x", options).outcome;
        };
        CHECK(outcome({.create_stream = false}) == AppendOutcome::missing);
        auto result = client.try_append(name, "1", {.producer = rill::ProducerStep{"p", 5, 1}});
        CHECK(result.outcome == AppendOutcome::stored);
        CHECK(result.accepted());
        CHECK(result.chunk_id == 1);
        CHECK(result.producer_epoch == 5);
        CHECK(result.producer_seq == 1);
        result = client.try_append(name, "again", {.producer = rill::ProducerStep{"p", 5, 1}});
        CHECK(result.outcome == AppendOutcome::repeat);
        CHECK(result.chunk_id == 1);
        result = client.try_append(name, "x", {.producer = rill::ProducerStep{"p", 5, 9}});
        CHECK(result.outcome == AppendOutcome::gap);
        CHECK(result.producer_seq == 1);
        result = client.try_append(name, "x", {.producer = rill::ProducerStep{"p", 4, 1}});
        CHECK(result.outcome == AppendOutcome::fenced);
        CHECK(result.producer_epoch == 5);
        result = client.try_append(name, "x", {.expected = 7});
        CHECK(result.outcome == AppendOutcome::mismatch);
        CHECK(result.chunk_id == 1);
        CHECK(outcome({.writer_seq = "b"}) == AppendOutcome::stored);
        CHECK(outcome({.writer_seq = "b"}) == AppendOutcome::stale);
        CHECK(client.try_append_many(name, std::vector<std::string>{}).outcome == AppendOutcome::stored);
        result = client.try_append_many(name, std::vector<std::string>{"3", "4"}, {.eof = true});
        CHECK(result.chunk_id == 4);
        CHECK(result.closed);
        result = client.try_append(name, "x");
        CHECK(result.outcome == AppendOutcome::closed);
        CHECK(result.chunk_id == 4);
        CHECK(sqlstate_of([&] { client.try_append(name, "x", {.writer_seq = ""}); }) == "22023");
        CHECK(sqlstate_of([&] {
                  client.try_append(name, "x", {.producer = rill::ProducerStep{"", 1, 1}});
              }) == "22023");
        CHECK(client.producer_state(name, "p") == rill::ProducerState{5, 1, 1});
        CHECK(client.producer_state(name, "q") == std::nullopt);
        CHECK(rill::to_string(AppendOutcome::stale) == "stale");
    }

    TEST_CASE("a cursor is verified") {
        Client client(conninfo());
        const auto name = unique("verify");
        client.append(name, "1");
        auto reader = client.read(name);
        const auto chunk = next_chunk(reader);
        CHECK(client.verify(name, reader.position()));
        CHECK(client.verify(name, {0, 0}));
        CHECK(sqlstate_of([&] { (void) client.verify(name, {1, chunk.epoch + 1}); }) == "RL003");
        CHECK(sqlstate_of([&] { (void) client.verify(name, {1, std::nullopt}); }) == "22023");
    }

    TEST_CASE("a batch can be any range of text that outlives the call") {
        Client client(conninfo());
        const auto name = unique("ranges");
        const std::vector<const char *> pointers{"a", "b"};
        CHECK(client.append_many(name, pointers) == 2);
        const std::vector<std::string> words{"c", "d"};
        CHECK(client.append_many(name, words | std::views::transform([](const std::string &word) {
                                           return std::string_view(word);
                                       })) == 4);
        const auto temporaries = words | std::views::transform([](const std::string &word) { return word + word; });
        static_assert(!rill::TextRange<std::remove_const_t<decltype(temporaries)>>);
        CHECK(client.head(name) == 4);
    }
}

// Run by test/integration/tls_records.py.
TEST_CASE("helper: writes the list of all streams into a file" * doctest::skip()) {
    const char *const file = std::getenv("RILL_TEST_LIST");
    if (file == nullptr)
        return;
    Client client(std::getenv("RILL_TEST_CONNINFO"));
    std::ofstream out(file);
    for (const auto &status : client.list())
        out << status.name << ' ' << status.stream_id.value_or(0) << ' ' << status.head_id << '\n';
    CHECK(out.flush());
}
