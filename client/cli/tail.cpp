// rill tail: the bytes of streams, from anywhere, and with -f as they come.
//
// Situations it must survive: a stream that does not exist (an error without -f, waited for with it), one of several
// that cannot be read (the others are), a connection that is lost (reported, and waited for; without -f not forever),
// an output whose reader has gone, Ctrl-C at any moment.
#include "commands.hpp"
#include "connection_reports.hpp"

#include "interrupt.hpp"
#include "json_lines.hpp"
#include "messages.hpp"
#include "output.hpp"
#include "ready_queue.hpp"
#include "rill/client.hpp"
#include "sql_session.hpp"
#include "terminal_text.hpp"

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
    Tail(Client &client, const ConnectionOptions &connection, const TailOptions &options)
        : client_(client), connection_(connection), options_(options) {}

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
        session_.reset();
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
            if (!print(stream, std::nullopt))
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
        std::int64_t skip = 0;  // chunks still to be left out
    };

    void open(const std::string &name) {
        if (!options_.follow && !client_.exists(name)) {
            print_error(no_such_stream(name));
            exit_code_ = 1;
            streams_.push_back({std::nullopt, true});
            return;
        }
        Stream stream{std::nullopt, false};
        const Start start = find_start(name, stream);
        const std::int64_t head = client_.head(name);
        stream.reader = client_.read(name, start);
        print_header(name);
        while (stream.reader->position().id < head && !stream.reader->ended() && !interrupted()) {
            if (print(stream, head) && std::exchange(failed_, false)) {
                streams_.push_back({std::nullopt, true});
                return;
            }
            out_.flush();
        }
        out_.flush();
        stream.done = stream.reader->ended() || !options_.follow;
        if (stream.done)
            stream.reader.reset();
        streams_.push_back(std::move(stream));
    }

    Start find_start(const std::string &name, Stream &stream) {
        const std::int64_t number = options_.from.number;
        switch (options_.from.kind) {
        case From::Kind::start:
            return from_start();
        case From::Kind::now:
            return after(client_.head(name));
        case From::Kind::last:
            return after(number == 0 ? client_.head(name) : client_.seek(name, -number).chunk_id);
        case From::Kind::skip: {
            const auto sought = client_.seek(name, number);
            stream.skip = sought.remaining;
            return after(sought.chunk_id);
        }
        case From::Kind::id:
            check_cursor(name);
            return after(number);
        case From::Kind::time:
            return after(client_.seek_time(name, options_.from.time));
        }
        return from_start();
    }

    // A reader learns whether a cursor is right when it reads there, which may be later than the end of a tail without
    // -f. So the server is asked first; it answers with an error.
    void check_cursor(const std::string &name) {
        if (!session_)
            session_.emplace(connection_);
        (void) session_->run("SELECT chunk_id FROM {}stream_read_since($1, $2::pg_catalog.int8, 1)",
                             {name, std::to_string(options_.from.number)});
    }

    // Prints what the reader has, at most kTurn chunks; with `until`, waits for the chunk with that id. True when no
    // more is available for now, or the reader has ended or failed.
    bool print(Stream &stream, std::optional<std::int64_t> until) {
        Reader &reader = *stream.reader;
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
                if (stream.skip > 0) {
                    --stream.skip;
                    continue;
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
        out_.write((last_header_.empty() ? "==> " : "\n==> ") + printable(name) + " <==\n");
        last_header_ = name;
    }

    void report(const std::string &name, const Error &error) {
        out_.flush();
        print_error(about_stream(name, error));
        exit_code_ = 1;
    }

    Client &client_;
    const ConnectionOptions &connection_;
    const TailOptions &options_;
    std::optional<SqlSession> session_;  // made when needed
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
        client_options.on_event = ConnectionReports();
    Client client = connect(connection, client_options);
    Tail tail(client, connection, options);
    tail.print_backlog();
    if (options.follow && !interrupted())
        tail.follow();
    return interrupted() ? 128 + interrupted() : tail.exit_code();
}

}  // namespace rill::cli
