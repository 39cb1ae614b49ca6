// The librill half of the torture test: one client that follows streams, one that appends to them, and a
// rill::Producer.
//
// driver NAME=VALUE…: see Arguments. Everything that happens is a line of JSON on standard output, an append before it
// is sent; the Python half (driver.py) makes history of it. An append is "undone" when librill says that it had no
// effect, and "unknown" when it says that it does not know. "finish" on standard input ends the writers, "end" the
// program. Situations it must survive: those of librill. A reader that is told that it cannot go on starts again.
#include "rill/rill.hpp"

#include <nlohmann/json.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using nlohmann::json;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

void say(json line) {
    static std::mutex mutex;
    if (!line.contains("t"))
        line["t"] = now();
    const std::string text = line.dump(-1, ' ', false, json::error_handler_t::replace);
    const std::scoped_lock lock(mutex);
    std::cout << text << '\n' << std::flush;
}

struct Arguments {
    std::string name, read, write, token;  // token: what those of this run begin with
    std::vector<std::string> follow, append, produce;
    std::uint64_t seed = 1;
    std::chrono::milliseconds pause{10};
    bool small = false;  // buffers, and no wait in the server

    Arguments(int argc, char **argv) {
        const std::map<std::string, std::function<void(const std::string &)>> known{
            {"name", [&](const std::string &value) { name = value; }},
            {"read", [&](const std::string &value) { read = value; }},
            {"write", [&](const std::string &value) { write = value; }},
            {"token", [&](const std::string &value) { token = value; }},
            {"follow", [&](const std::string &value) { follow.push_back(value); }},
            {"append", [&](const std::string &value) { append.push_back(value); }},
            {"produce", [&](const std::string &value) { produce.push_back(value); }},
            {"seed", [&](const std::string &value) { seed = std::stoull(value); }},
            {"pause_ms", [&](const std::string &value) { pause = std::chrono::milliseconds(std::stoi(value)); }},
            {"small", [&](const std::string &value) { small = value == "yes"; }},
        };
        for (int i = 1; i < argc; ++i) {
            const std::string word = argv[i];
            const auto equals = word.find('=');
            known.at(word.substr(0, equals))(word.substr(equals + 1));
        }
    }
};

// Clients that are lost soon, and come back soon: the faults are short, too.
rill::Options prompt(const Arguments &arguments, const std::string &what) {
    rill::Options options;
    options.application_name = arguments.name + " " + what;
    options.poll_interval = 1s;
    options.response_timeout = 2s;
    options.reconnect_min = 20ms;
    options.reconnect_max = 500ms;
    options.call_timeout = 3s;
    if (arguments.small) {
        options.wait_streams = 0;
        options.buffer_chunks = 3;
        options.fetch_chunks = 20;
    }
    options.on_event = [](const rill::Event &event) {
        static constexpr const char *kKinds[] = {"connected", "disconnected", "degraded", "rescued"};
        say({{"e", "event"},
             {"x", kKinds[static_cast<std::size_t>(event.kind)]},
             {"read", event.channel == rill::Event::Channel::read},
             {"why", event.reason}});
    };
    return options;
}

// What history.py calls payload() and token_of().
std::string payload(const std::string &token) {
    const auto size = static_cast<std::size_t>(std::stoul(token.substr(token.rfind('.') + 1)));
    const std::string head = token + "|";
    std::string data = head;
    while (data.size() < size)
        data += head;
    data.resize(std::max(size, head.size()));
    return data;
}
json token_of(std::string_view data) {
    if (data.ends_with('\n'))
        data.remove_suffix(1);
    if (data.empty())
        return "";
    const std::string token(data.substr(0, data.find('|')));
    try {
        if (data == payload(token))
            return token;
    } catch (const std::exception &) {
    }
    return nullptr;
}

class Followers {
public:
    Followers(const Arguments &arguments, std::uint64_t seed)
        : random_(seed), client_(arguments.read, prompt(arguments, "reader")) {
        for (const auto &stream : arguments.follow)
            streams_.push_back({stream, std::nullopt, false});
        for (std::size_t i = 0; i < streams_.size(); ++i)
            start(i, rill::from_start(), true);
        thread_ = std::jthread([this](const std::stop_token &stop) { run(stop); });
    }

private:
    struct Stream {
        std::string name;
        std::optional<rill::Reader> reader;
        bool done;
    };

    struct Queue {
        std::mutex mutex;
        std::condition_variable_any changed;
        std::deque<std::size_t> ready;
    };

    void start(std::size_t i, const rill::Start &from, bool anew) {
        if (anew)
            say({{"e", "start"}, {"s", streams_[i].name}});
        streams_[i].reader = client_.read(streams_[i].name, from);
        streams_[i].reader->on_ready([queue = queue_, i] {
            const std::scoped_lock lock(queue->mutex);
            queue->ready.push_back(i);
            queue->changed.notify_one();
        });
    }

    void run(const std::stop_token &stop) {
        for (;;) {
            std::unique_lock lock(queue_->mutex);
            if (!queue_->changed.wait(lock, stop, [&] { return !queue_->ready.empty(); }))
                return;
            const std::size_t i = queue_->ready.front();
            queue_->ready.pop_front();
            lock.unlock();
            take(i);
        }
    }

    void take(std::size_t i) {
        Stream &stream = streams_[i];
        if (stream.done)
            return;
        json chunks = json::array();
        const auto report = [&] {
            if (!chunks.empty())
                say({{"e", "read"}, {"s", stream.name}, {"c", std::exchange(chunks, json::array())}});
        };
        try {
            for (std::size_t n = 0; const auto chunk = stream.reader->next(0ns); ++n) {
                chunks.push_back({chunk->id, token_of(chunk->text()), chunk->epoch, chunk->eof});
                if (chunks.size() >= 100)
                    report();
                if (!chunk->eof && random_() % 500 == 0) {  // as a process does that was restarted
                    report();
                    start(i, rill::after(stream.reader->position()), false);
                    return;
                }
            }
            report();
            if (stream.reader->ended()) {
                stream.done = true;
                say({{"e", "ended"}, {"s", stream.name}});
                stream.reader.reset();
            }
        } catch (const rill::Error &error) {
            report();
            say({{"e", "told"}, {"s", stream.name}, {"code", error.sqlstate()}, {"x", error.what()}});
            start(i, rill::from_start(), true);
        }
    }

    std::mt19937_64 random_;
    std::shared_ptr<Queue> queue_ = std::make_shared<Queue>();
    std::vector<Stream> streams_;
    rill::Client client_;
    std::jthread thread_;
};

class Writers {
public:
    explicit Writers(const Arguments &arguments)
        : arguments_(arguments), client_(arguments.write, prompt(arguments, "writer")) {
        if (!arguments.append.empty())
            for (int n = 0; n < 2; ++n)
                threads_.emplace_back([this, n] { append(n); });
        for (std::size_t n = 0; n < arguments.produce.size(); ++n)
            threads_.emplace_back([this, n] { produce(n); });
    }

    void finish() {
        finishing_ = true;
        for (auto &thread : threads_)
            thread.join();
    }

private:
    using Tokens = std::vector<std::string>;
    using Random = std::mt19937_64;

    Tokens make_tokens(Random &random, const std::string &who, std::size_t count) {
        static constexpr int kSizes[] = {20, 20, 40, 100, 300, 2500, 9000};
        Tokens tokens;
        for (std::size_t n = 0; n < count; ++n)
            tokens.push_back(arguments_.token + who + "." + std::to_string(++serial_) + "." +
                             std::to_string(kSizes[random() % std::size(kSizes)]));
        return tokens;
    }
    static std::vector<std::string> data_of(const Tokens &tokens) {
        std::vector<std::string> data;
        for (const auto &token : tokens)
            data.push_back(payload(token));
        return data;
    }
    static void begin(const std::string &who, const std::string &stream, const Tokens &tokens) {
        say({{"e", "begin"}, {"w", who}, {"s", stream}, {"k", tokens}});
    }
    static void acked(const Tokens &tokens, std::int64_t last) { say({{"e", "acked"}, {"k", tokens}, {"id", last}}); }
    static void failed(const Tokens &tokens, const rill::Error &error, bool decided) {
        say({{"e", error.outcome_unknown() ? "unknown" : "undone"},
             {"k", tokens},
             {"decided", decided},
             {"code", error.sqlstate()},
             {"x", error.what()},
             {"explained",
              error.connection_lost() || error.retryable() || error.outcome_unknown() || error.sqlstate() == "57014"}});
    }

    void append(int number) {
        Random random(arguments_.seed + static_cast<std::uint64_t>(number));
        const std::string who = "a" + std::to_string(number);
        while (!finishing_) {
            const auto &stream = arguments_.append[random() % arguments_.append.size()];
            const auto tokens = make_tokens(random, who, random() % 6 == 0 ? 3 : 1);
            begin(who, stream, tokens);
            try {
                const auto data = data_of(tokens);
                switch (random() % 3) {
                case 0:
                    acked(tokens, *client_.append_many(stream, data));
                    break;
                case 1: {
                    const auto result = client_.try_append_many(stream, data);
                    if (result.outcome == rill::AppendOutcome::stored)
                        acked(tokens, *result.chunk_id);
                    else
                        failed(tokens,
                               rill::Error("outcome " + std::string(rill::to_string(result.outcome)),
                                           {.sqlstate = "RL001"}),
                               true);
                    break;
                }
                default:
                    if (tokens.size() == 1)
                        acked(tokens, client_.append(stream, data[0]));
                    else
                        acked(tokens, *client_.append_many(stream, data));
                }
            } catch (const rill::Error &error) {
                failed(tokens, error, true);
                std::this_thread::sleep_for(20ms);
            }
            std::this_thread::sleep_for(arguments_.pause * static_cast<int>(random() % 3));
        }
    }

    // Each append until it is known to be stored. A new epoch settles what became of one of the epoch before.
    void produce(std::size_t number) {
        Random random(arguments_.seed + 1000 + number);
        const std::string who = "p" + std::to_string(number);
        const auto &stream = arguments_.produce[number];
        std::optional<rill::Producer> producer;
        while (!finishing_) {
            const auto tokens = make_tokens(random, who, random() % 5 == 0 ? 3 : 1);
            const auto data = data_of(tokens);
            begin(who, stream, tokens);
            rill::ProducerState before;  // the append
            bool in_doubt = false;
            for (bool stored = false; !stored;) {
                try {
                    if (!producer)
                        producer.emplace(client_, stream, arguments_.name, rill::ProducerOptions{.retry_for = 2s});
                    if (in_doubt) {
                        producer->restart();
                        const auto &last = producer->last();
                        if (last && last->epoch == before.epoch && last->seq > before.seq) {
                            acked(tokens, last->chunk_id.value());
                            break;
                        }
                        in_doubt = false;
                    }
                    const auto &last = producer->last();
                    before = {.epoch = producer->epoch(),
                              .seq = last && last->epoch == producer->epoch() ? last->seq : 0};
                    try {
                        acked(tokens, *producer->append_many(data));
                        stored = true;
                    } catch (const rill::Error &error) {
                        in_doubt = error.outcome_unknown();
                        throw;
                    }
                } catch (const rill::Error &error) {
                    failed(tokens, error, false);
                    if (error.kind() == rill::ErrorKind::gap)  // the server has lost what it had accepted
                        producer.reset();
                    std::this_thread::sleep_for(20ms);
                }
                if (stored && random() % 200 == 0)
                    producer.reset();  // as a process does that was restarted
            }
            std::this_thread::sleep_for(arguments_.pause * static_cast<int>(random() % 3));
        }
    }

    const Arguments &arguments_;
    rill::Client client_;
    std::atomic<std::uint64_t> serial_{0};
    std::atomic<bool> finishing_{false};
    std::vector<std::thread> threads_;
};

}  // namespace

int main(int argc, char **argv) {
    try {
        const Arguments arguments(argc, argv);
        std::optional<Followers> followers;
        std::optional<Writers> writers;
        if (!arguments.follow.empty())
            followers.emplace(arguments, arguments.seed);
        if (!arguments.append.empty() || !arguments.produce.empty())
            writers.emplace(arguments);
        say({{"e", "running"}});
        for (std::string command; std::getline(std::cin, command);) {
            if (command == "finish") {
                if (writers)
                    writers->finish();
                say({{"e", "finished"}});
            } else if (command == "end") {
                break;
            }
        }
    } catch (const std::exception &error) {
        say({{"e", "trouble"}, {"x", error.what()}});
    }
    std::_Exit(0);  // what still runs may hang
}
