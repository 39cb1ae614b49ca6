// The program of the fault test: writers append to many streams and readers follow them, while test/integration's
// follow_faults.py makes faults; then it says whether every reader has got everything once, in order, up to the EOF.
//
// faults NAME=VALUE…: see Arguments. Reads commands from its standard input, one a line, and answers each with a line:
//   moved   once every stream has been appended to and every reader has got a chunk, both after the command: "moved",
//           or what has not within the deadline
//   stats   JSON: what the clients have met so far
//   end     closes the streams, waits for the readers and prints the verdict as JSON; ends the program
// Situations it must survive: those of librill; anything that hangs, by the deadline. At the end of its input it ends
// at once.
#include "checker.hpp"
#include "readers.hpp"
#include "writers.hpp"

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <libpq-fe.h>
#include <nlohmann/json.hpp>

namespace {

using namespace std::chrono_literals;
using namespace faults;
using nlohmann::json;

// Poll, so that a state inside several threads needs no signal of its own.
bool eventually(std::chrono::seconds deadline, const std::function<bool()> &condition) {
    const auto end = Clock::now() + deadline;
    while (!condition()) {
        if (Clock::now() > end)
            return false;
        std::this_thread::sleep_for(10ms);
    }
    return true;
}

struct Arguments {
    std::string phase;                     // the streams' names begin with it
    std::string check;                     // connection string of who reads the table at the end
    std::vector<std::string> write, read;  // of the writing and reading clients, in turns; one may be named twice
    std::uint64_t seed = 1;
    std::size_t streams = 10;
    std::size_t readers = 4;              // of each stream
    std::size_t threads = 4;              // that append
    std::chrono::milliseconds pause{20};  // of each thread, after an append
    std::chrono::seconds deadline{30};
    Spoil spoil = Spoil::nothing;

    Arguments(int argc, char **argv) {
        static const std::map<std::string, Spoil> spoils{{"nothing", Spoil::nothing}, {"drop", Spoil::drop},
                                                         {"repeat", Spoil::repeat},   {"swap", Spoil::swap},
                                                         {"alter", Spoil::alter},     {"cut", Spoil::cut}};
        const std::map<std::string, std::function<void(const std::string &)>> known{
            {"phase", [&](const std::string &value) { phase = value; }},
            {"read", [&](const std::string &value) { read.push_back(value); }},
            {"check", [&](const std::string &value) { check = value; }},
            {"write", [&](const std::string &value) { write.push_back(value); }},
            {"seed", [&](const std::string &value) { seed = std::stoull(value); }},
            {"streams", [&](const std::string &value) { streams = std::stoul(value); }},
            {"readers", [&](const std::string &value) { readers = std::stoul(value); }},
            {"threads", [&](const std::string &value) { threads = std::stoul(value); }},
            {"pause_ms", [&](const std::string &value) { pause = std::chrono::milliseconds(std::stoi(value)); }},
            {"deadline", [&](const std::string &value) { deadline = std::chrono::seconds(std::stoi(value)); }},
            {"spoil", [&](const std::string &value) { spoil = spoils.at(value); }},
        };
        for (int i = 1; i < argc; ++i) {
            const std::string word = argv[i];
            const auto equals = word.find('=');
            if (equals == std::string::npos || !known.contains(word.substr(0, equals)))
                throw std::invalid_argument("unknown argument: " + word);
            known.at(word.substr(0, equals))(word.substr(equals + 1));
        }
        if (phase.empty() || write.empty() || read.empty() || streams == 0 || threads < 2)
            throw std::invalid_argument("phase, write, read, check, streams and two threads are needed");
    }
};

// A client that loses its connections must notice soon and reconnect soon: the faults are short, too.
rill::Options prompt(const std::string &name) {
    rill::Options options;
    options.application_name = name;
    options.poll_interval = 1s;
    options.response_timeout = 1s;
    options.reconnect_min = 20ms;
    options.reconnect_max = 500ms;
    options.call_timeout = 3s;
    return options;
}

class Run {
public:
    explicit Run(const Arguments &arguments) : arguments_(arguments) {
        std::mt19937_64 random(arguments.seed);
        for (std::size_t i = 0; i < arguments.streams; ++i)
            written_.push_back(std::make_unique<WrittenStream>(arguments.phase + "-" + std::to_string(i)));
        for (std::size_t c = 0; c < kClients; ++c) {
            auto options = prompt("faults reader " + std::to_string(c));
            if (c == 1)
                options.wait_streams = 100'000;  // waits in the server for all of them
            if (c == 2) {
                options.wait_streams = 0;
                options.buffer_chunks = 3;
                options.fetch_chunks = 20;
            }
            if (c == 3)
                options.wait_streams = 0;
            clients_.push_back(std::make_unique<ReadingClient>(arguments.read[c % arguments.read.size()], options));
        }
        for (std::size_t i = 0; i < arguments.streams; ++i)
            for (std::size_t r = 0; r < arguments.readers; ++r) {
                const auto kind = r % 5 == 3   ? FollowedStream::Kind::resumed
                                  : r % 5 == 4 ? FollowedStream::Kind::skipping
                                               : FollowedStream::Kind::plain;
                const std::size_t c = (i + r) % kClients;
                auto &reader = clients_[c]->follow(std::make_unique<FollowedStream>(
                    i, written_[i]->name(), kind, "reader " + std::to_string(r) + " of client " + std::to_string(c),
                    random()));
                if (i == 0 && r == 0)
                    reader.spoil(arguments.spoil);
            }
        writers_.emplace(Writers::Plan{.conninfos = arguments.write,
                                       .threads = std::min(arguments.threads, arguments.streams),
                                       .pause = arguments.pause,
                                       .options = writing_options(),
                                       .seed = random()},
                         written_);
        for (auto &client : clients_)
            client->run();
        writers_->run();
    }

    [[nodiscard]] std::string moved() {
        // More than one append for each of the writers: the first may have begun before.
        std::vector<std::uint64_t> counts;
        for (const auto &stream : written_)
            counts.push_back(stream->count() + kMaxWriters + 1);
        const auto written = [&](std::size_t i) { return written_[i]->count() >= counts[i]; };
        const bool appended = eventually(arguments_.deadline, [&] {
            for (std::size_t i = 0; i < counts.size(); ++i)
                if (!written(i))
                    return false;
            return true;
        });
        std::string late;
        if (!appended)
            for (std::size_t i = 0; i < counts.size(); ++i)
                late += written(i) ? "" : " appends to " + written_[i]->name() + ";";
        std::vector<std::int64_t> ids;
        for (const auto &stream : written_)
            ids.push_back(stream->last_id());
        const auto behind = [&](const FollowedStream &reader) {
            return reader.last_id() < ids[reader.stream_number()] || reader.done();
        };
        const auto failed = [](const FollowedStream &reader) { return reader.done(); };
        if (!eventually(arguments_.deadline, [&] { return find(failed) || !find(behind); }) || find(failed))
            for_each([&](const FollowedStream &reader) {
                if (behind(reader))
                    late += " " + reader.read().name + " is at " + std::to_string(reader.last_id()) + " of " +
                            written_[reader.stream_number()]->name() + ", which has " +
                            std::to_string(ids[reader.stream_number()]) +
                            (reader.done() ? ", and has ended: " + reader.read().trouble : "") + ";";
            });
        return late.empty() ? "moved" : "stuck:" + late.substr(0, 2'000);
    }

    [[nodiscard]] json stats() const {
        json clients = json::array();
        for (const auto &client : clients_) {
            const auto stats = client->stats();
            clients.push_back({{"lost_read", client->disconnected(rill::Event::Channel::read)},
                               {"lost_listen", client->disconnected(rill::Event::Channel::listen)},
                               {"reconnects", stats.reconnects},
                               {"failures", stats.connect_failures},
                               {"reading", stats.reading},
                               {"listening", stats.listening},
                               {"rescued", stats.chunks_rescued},
                               {"by_poll", stats.chunks_by_poll},
                               {"by_notify", stats.chunks_by_notify},
                               {"by_wait", stats.chunks_by_wait}});
        }
        // How many readers have ended, by the SQLSTATE; EOF: as they should.
        std::map<std::string, int> ended;
        for_each([&](const FollowedStream &reader) {
            if (reader.done())
                ++ended[reader.read().trouble.empty() ? "EOF" : reader.read().trouble.substr(0, 5)];
        });
        return {{"ended", ended},
                {"clients", clients},
                {"retries", writers_->retries()},
                {"unknown", writers_->unknowns()}};
    }

    // Prints the verdict. The process must end then: threads may hang.
    [[nodiscard]] json end() {
        json answer = stats();
        writers_->finish();
        const bool written = eventually(arguments_.deadline, [&] { return writers_->finished(); });
        if (written)
            writers_->join();
        (void) eventually(arguments_.deadline,
                          [&] { return !find([](const FollowedStream &reader) { return !reader.done(); }); });
        for (auto &client : clients_)
            client->stop();
        Verdict verdict;
        if (written)
            judge_all(verdict);
        else
            verdict.problems.emplace_back("the writers have not come to their end");
        const auto troubles = writers_->troubles();
        verdict.problems.insert(verdict.problems.end(), troubles.begin(),
                                troubles.begin() + std::min<std::ptrdiff_t>(10, std::ssize(troubles)));
        answer.update({{"good", written && verdict.good() && troubles.empty()},
                       {"stored", verdict.stored},
                       {"delivered", verdict.delivered},
                       {"lost", verdict.lost},
                       {"duplicated", verdict.duplicated},
                       {"reordered", verdict.reordered},
                       {"altered", verdict.altered},
                       {"not_ended", verdict.not_ended},
                       {"writes_lost", verdict.writes_lost},
                       {"writes_duplicated", verdict.writes_duplicated},
                       {"writes_unknown", verdict.writes_unknown},
                       {"streams_not_closed", verdict.streams_not_closed},
                       {"stall_ms", verdict.longest_stall.count()},
                       {"troubles", troubles.size()},
                       {"problems", verdict.problems}});
        return answer;
    }

private:
    static constexpr std::size_t kClients = 4;
    static constexpr std::uint64_t kMaxWriters = 2;  // of one stream

    [[nodiscard]] rill::Options writing_options() const {
        auto options = prompt("faults writer");
        options.call_connections = std::max<std::size_t>(1, arguments_.threads / arguments_.write.size());
        return options;
    }

    void for_each(const std::function<void(const FollowedStream &)> &action) const {
        for (const auto &client : clients_)
            for (const auto &reader : client->streams())
                action(*reader);
    }
    [[nodiscard]] bool find(const std::function<bool(const FollowedStream &)> &which) const {
        bool found = false;
        for_each([&](const FollowedStream &reader) { found = found || which(reader); });
        return found;
    }

    void judge_all(Verdict &verdict) const {
        auto table = read_table();
        for (std::size_t i = 0; i < written_.size(); ++i) {
            std::vector<const Read *> readers;
            for_each([&](const FollowedStream &reader) {
                if (reader.stream_number() == i)
                    readers.push_back(&reader.read());
            });
            judge(verdict, written_[i]->name(), table[written_[i]->name()], written_[i]->written(), readers);
        }
    }

    // By a plain SELECT, with nothing of librill or of the extension's functions in between.
    [[nodiscard]] std::map<std::string, std::vector<Stored>> read_table() const {
        const std::unique_ptr<PGconn, decltype(&PQfinish)> conn(PQconnectdb(arguments_.check.c_str()), &PQfinish);
        const auto run = [&](const std::string &sql, int format) {
            std::unique_ptr<PGresult, decltype(&PQclear)> result(
                PQexecParams(conn.get(), sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, format), &PQclear);
            if (PQresultStatus(result.get()) != PGRES_TUPLES_OK)
                throw std::runtime_error(PQerrorMessage(conn.get()));
            return result;
        };
        const auto schema =
            run("SELECT quote_ident(nspname) FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace "
                "WHERE extname = 'pg_rill'",
                0);
        const std::string in = std::string(PQgetvalue(schema.get(), 0, 0)) + ".";
        const auto rows =
            run("SELECT s.name::text, c.chunk_id::text, c.eof::text, c.data FROM " + in + "stream s JOIN " + in +
                    "stream_chunk c USING (stream_id) WHERE starts_with(s.name, '" + arguments_.phase +
                    "-') ORDER BY s.name, c.chunk_id",
                1);
        std::map<std::string, std::vector<Stored>> table;
        for (int i = 0; i < PQntuples(rows.get()); ++i)
            table[PQgetvalue(rows.get(), i, 0)].push_back(
                {std::stoll(PQgetvalue(rows.get(), i, 1)),
                 std::string(PQgetvalue(rows.get(), i, 3), static_cast<std::size_t>(PQgetlength(rows.get(), i, 3))),
                 std::string(PQgetvalue(rows.get(), i, 2)) == "true"});
        return table;
    }

    const Arguments &arguments_;
    std::vector<std::unique_ptr<WrittenStream>> written_;
    std::vector<std::unique_ptr<ReadingClient>> clients_;
    std::optional<Writers> writers_;
};

int serve(const Arguments &arguments) {
    Run run(arguments);
    std::cout << "running" << std::endl;
    for (std::string command; std::getline(std::cin, command);) {
        if (command == "moved")
            std::cout << run.moved() << std::endl;
        else if (command == "stats")
            std::cout << run.stats() << std::endl;
        else if (command == "end") {
            std::cout << run.end() << std::endl;
            break;
        }
    }
    std::_Exit(0);  // what still runs may hang
}

}  // namespace

int main(int argc, char **argv) {
    try {
        return serve(Arguments(argc, argv));
    } catch (const std::exception &error) {
        std::cout << "failed: " << error.what() << std::endl;
        std::_Exit(1);
    }
}
