// rill tail: the bytes of streams, from anywhere, and with -f as they come.
//
// Situations it must survive: a stream that does not exist (an error without -f, waited for with it), one of several
// that cannot be read (the others are), a connection that is lost (reported, and waited for; without -f not forever),
// an output whose reader has gone, Ctrl-C at any moment.
#include "commands.hpp"

#include "format.hpp"
#include "interrupt.hpp"
#include "json_lines.hpp"
#include "output.hpp"
#include "ready_queue.hpp"
#include "rill/client.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace rill::cli {
namespace {

constexpr std::size_t kTurn = 1'000;  // chunks of one stream before the others have their turn

class Tail {
public:
    Tail(Client &client, const TailOptions &options) : client_(client), options_(options) {}

    // Prints what is there now, stream by stream.
    void print_backlog() {
        for (const auto &name : options_.streams) {
            try {
                open(name);
            } catch (const Error &error) {
                if (error.connection_lost() || error.sqlstate().starts_with("42"))
                    throw;  // the same for all streams
                report(name, error);
                streams_.push_back({std::nullopt, true});
            }
            if (interrupted())
                return;
        }
    }

    // Prints chunks as they come, until every stream has ended.
    void follow() {
        const auto ready = std::make_shared<ReadyQueue>();
        on_interrupt([ready] { ready->wake(); });
        std::size_t open_streams = 0;
        for (std::size_t i = 0; i < streams_.size(); ++i) {
            if (streams_[i].done)
                continue;
            ++open_streams;
            streams_[i].reader->on_ready([ready, i] { ready->post(i); });
        }
        while (open_streams > 0 && !interrupted()) {
            const auto i = ready->take();
            if (!i) {
                Output::check_reader();
                continue;
            }
            Stream &stream = streams_[*i];
            if (stream.done)
                continue;
            if (!print(*stream.reader, std::nullopt))
                ready->post(*i);
            if (stream.reader->ended() || std::exchange(failed_, false)) {
                stream.done = true;
                --open_streams;
            }
            out_.flush();
        }
    }

    [[nodiscard]] int exit_code() const { return exit_code_; }

private:
    struct Stream {
        std::optional<Reader> reader;
        bool done;
    };

    void open(const std::string &name) {
        if (!options_.follow && !client_.exists(name)) {
            print_error("stream \"" + printable(name) + "\" does not exist, or this role may not see it");
            exit_code_ = 1;
            streams_.push_back({std::nullopt, true});
            return;
        }
        const Start start = find_start(name);
        const std::int64_t head = client_.head(name);
        Reader reader = client_.read(name, start);
        print_header(name);
        while (reader.position().id < head && !reader.ended() && !interrupted()) {
            if (print(reader, head) && std::exchange(failed_, false)) {
                streams_.push_back({std::nullopt, true});
                return;
            }
            out_.flush();
        }
        out_.flush();
        const bool done = reader.ended() || !options_.follow;
        streams_.push_back({done ? std::nullopt : std::optional<Reader>(std::move(reader)), done});
    }

    Start find_start(const std::string &name) {
        switch (options_.from.kind) {
        case From::Kind::start:
            return from_start();
        case From::Kind::now:
            return after(client_.head(name));
        case From::Kind::last:
            return after(options_.from.number == 0 ? client_.head(name)
                                                   : client_.seek(name, -options_.from.number).chunk_id);
        case From::Kind::id:
            return after(options_.from.number);
        case From::Kind::time:
            return after(client_.seek_time(name, options_.from.time));
        }
        return from_start();
    }

    // Prints what the reader has, at most kTurn chunks; with `until`, waits for the chunk with that id. True when no
    // more is available for now, or the reader has ended or failed.
    bool print(Reader &reader, std::optional<std::int64_t> until) {
        const auto timeout = std::chrono::milliseconds(until ? 200 : 0);
        const bool had_ended = reader.ended();
        bool eof_printed = false;
        try {
            for (std::size_t n = 0; n < kTurn; ++n) {
                if (until && reader.position().id >= *until)
                    return true;
                const auto chunk = reader.next(timeout);
                if (!chunk) {
                    if (options_.json && reader.ended() && !had_ended && !eof_printed)
                        out_.write(json_end(reader.stream(), reader.position().id));
                    return true;
                }
                if (!until)
                    print_header(reader.stream());
                out_.write(options_.json ? json_line(reader.stream(), *chunk) : std::string(chunk->text()));
                eof_printed = chunk->eof;
            }
        } catch (const Error &error) {
            report(reader.stream(), error);
            failed_ = true;
            return true;
        }
        return false;
    }

    void print_header(const std::string &name) {
        if (options_.streams.size() < 2 || options_.quiet || options_.json || name == last_header_)
            return;
        out_.write((last_header_.empty() ? "==> " : "\n==> ") + name + " <==\n");
        last_header_ = name;
    }

    void report(const std::string &name, const Error &error) {
        out_.flush();
        print_error("stream \"" + printable(name) + "\": " + error.what());
        exit_code_ = 1;
    }

    Client &client_;
    const TailOptions &options_;
    Output out_;
    std::vector<Stream> streams_;
    std::string last_header_;
    bool failed_ = false;  // the reader that was printed last
    int exit_code_ = 0;
};

}  // namespace

int tail(const ConnectionOptions &connection, const TailOptions &options) {
    catch_interrupts();
    rill::Options client_options;
    if (!options.follow)
        client_options.give_up_after = client_options.call_timeout;
    else
        client_options.on_event = [lost = false](const Event &event) mutable {
            if (event.channel != Event::Channel::read)
                return;
            if (event.kind == Event::Kind::disconnected && !std::exchange(lost, true))
                print_error("connection lost, retrying: " + event.reason);
            else if (event.kind == Event::Kind::connected && std::exchange(lost, false))
                print_error("connected again");
        };
    Client client = connect(connection, client_options);
    Tail tail(client, options);
    tail.print_backlog();
    if (options.follow && !interrupted())
        tail.follow();
    return interrupted() ? 128 + interrupted() : tail.exit_code();
}

}  // namespace rill::cli
