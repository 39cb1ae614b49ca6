// rill tail: the bytes of streams, from anywhere, and with -f as they come.
//
// Situations it must survive: a stream that is not there (an error without -f, awaited with it), one of several that
// cannot go on (the others do), a connection that is lost (told, and waited for; without -f not for ever), an output
// that nobody reads any more, Ctrl-C at any moment.
#include "commands.hpp"

#include "format.hpp"
#include "interrupt.hpp"
#include "output.hpp"
#include "rill/client.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace rill::cli {
namespace {

constexpr std::size_t kRound = 1'000;  // chunks of one stream before the others get their turn

// Which readers have something to say. Shared with their callbacks, which may run for a moment after them.
class Ready {
public:
    void post(std::size_t reader) {
        {
            const std::scoped_lock lock(mutex_);
            queue_.push_back(reader);
        }
        some_.notify_one();
    }

    // nullopt after a second, so that the caller can look around.
    std::optional<std::size_t> take() {
        std::unique_lock lock(mutex_);
        if (!some_.wait_for(lock, std::chrono::seconds(1), [&] { return !queue_.empty() || interrupted(); }) ||
            queue_.empty())
            return std::nullopt;
        const std::size_t first = queue_.front();
        queue_.pop_front();
        return first;
    }

    void wake() { some_.notify_one(); }

private:
    std::mutex mutex_;
    std::condition_variable some_;
    std::deque<std::size_t> queue_;
};

class Tail {
public:
    Tail(Client &client, const TailOptions &options) : client_(client), options_(options) {}

    // What is there now, stream by stream.
    void backlog() {
        for (const auto &name : options_.streams) {
            try {
                open(name);
            } catch (const Error &error) {
                if (error.connection_lost() || error.sqlstate().starts_with("42"))
                    throw;  // the same for all
                trouble(name, error);
                followed_.push_back({std::nullopt, true});
            }
            if (interrupted())
                return;
        }
    }

    void follow() {
        const auto ready = std::make_shared<Ready>();
        on_interrupt([ready] { ready->wake(); });
        std::size_t open_streams = 0;
        for (std::size_t i = 0; i < followed_.size(); ++i) {
            if (followed_[i].done)
                continue;
            ++open_streams;
            followed_[i].reader->on_ready([ready, i] { ready->post(i); });
        }
        while (open_streams > 0 && !interrupted()) {
            const auto i = ready->take();
            if (!i) {
                Output::check();
                continue;
            }
            Followed &followed = followed_[*i];
            if (followed.done)
                continue;
            if (!drain(*followed.reader, std::nullopt, kRound))
                ready->post(*i);
            if (followed.reader->ended() || std::exchange(failed_, false)) {
                followed.done = true;
                --open_streams;
            }
            out_.flush();
        }
    }

    [[nodiscard]] int exit_code() const { return exit_code_; }

private:
    struct Followed {
        std::optional<Reader> reader;
        bool done;
    };

    void open(const std::string &name) {
        if (!options_.follow && !client_.exists(name)) {
            complain("there is no stream \"" + printable(name) + "\", or it may not be seen");
            exit_code_ = 1;
            followed_.push_back({std::nullopt, true});
            return;
        }
        const Start start = where(name);
        const std::int64_t head = client_.head(name);
        Reader reader = client_.read(name, start);
        header(name);
        while (reader.position().id < head && !reader.ended() && !interrupted()) {
            if (drain(reader, head, kRound) && std::exchange(failed_, false)) {
                followed_.push_back({std::nullopt, true});
                return;
            }
            out_.flush();
        }
        out_.flush();
        const bool done = reader.ended() || !options_.follow;
        followed_.push_back({done ? std::nullopt : std::optional<Reader>(std::move(reader)), done});
    }

    Start where(const std::string &name) {
        switch (options_.from.kind) {
        case From::Kind::start:
            return from_start();
        case From::Kind::now:
            return after(client_.head(name));
        case From::Kind::last:
            return after(options_.from.number == 0 ? client_.head(name) : last(name, options_.from.number));
        case From::Kind::id:
            return after(options_.from.number);
        case From::Kind::time:
            return after(client_.seek_time(name, options_.from.time));
        }
        return from_start();
    }

    // The cursor before the last `count` data chunks.
    std::int64_t last(const std::string &name, std::int64_t count) {
        try {
            return client_.seek(name, -count);
        } catch (const Error &error) {
            if (error.sqlstate() != "42883")
                throw;
        }
        // A server without stream_seek(): look further and further back until there are enough.
        const std::int64_t head = client_.head(name);
        for (std::int64_t distance = std::min(count, head);; distance = std::min(distance * 4 + 16, head)) {
            Reader reader = client_.read(name, after(head - distance));
            std::deque<std::int64_t> ids;
            while (reader.position().id < head && !interrupted()) {
                const auto chunk = reader.next();
                if (!chunk)
                    break;
                ids.push_back(chunk->id);
                if (std::ssize(ids) > count)
                    ids.pop_front();
            }
            if (std::ssize(ids) == count || distance == head)
                return ids.empty() ? head : ids.front() - 1;
        }
    }

    // Prints what the reader has, at most `most` chunks; with `until`, waits for the chunk with that id. True when it
    // has no more for now, has ended or has failed.
    bool drain(Reader &reader, std::optional<std::int64_t> until, std::size_t most) {
        const auto patience = std::chrono::milliseconds(until ? 200 : 0);
        const bool had_ended = reader.ended();
        bool eof_printed = false;
        try {
            for (std::size_t n = 0; n < most; ++n) {
                if (until && reader.position().id >= *until)
                    return true;
                const auto chunk = reader.next(patience);
                if (!chunk) {
                    if (options_.json && reader.ended() && !had_ended && !eof_printed)
                        out_.write(json_end(reader.stream(), reader.position().id));
                    return true;
                }
                if (!until)
                    header(reader.stream());
                out_.write(options_.json ? json_line(reader.stream(), *chunk) : std::string(chunk->text()));
                eof_printed = chunk->eof;
            }
        } catch (const Error &error) {
            trouble(reader.stream(), error);
            failed_ = true;
            return true;
        }
        return false;
    }

    void header(const std::string &name) {
        if (options_.streams.size() < 2 || options_.quiet || options_.json || name == shown_)
            return;
        out_.write((shown_.empty() ? "==> " : "\n==> ") + name + " <==\n");
        shown_ = name;
    }

    void trouble(const std::string &name, const Error &error) {
        out_.flush();
        complain("stream \"" + printable(name) + "\": " + error.what());
        exit_code_ = 1;
    }

    Client &client_;
    const TailOptions &options_;
    Output out_;
    std::vector<Followed> followed_;
    std::string shown_;
    bool failed_ = false;
    int exit_code_ = 0;
};

}  // namespace

int tail(const ConnectionOptions &connection, const TailOptions &options) {
    catch_interrupts();
    rill::Options client_options;
    client_options.application_name = "rill";
    if (!options.follow)
        client_options.give_up_after = client_options.call_timeout;
    else
        client_options.on_event = [lost = false](const Event &event) mutable {
            if (event.channel != Event::Channel::read)
                return;
            if (event.kind == Event::Kind::disconnected && !std::exchange(lost, true))
                complain("connection lost, trying again: " + event.reason);
            else if (event.kind == Event::Kind::connected && std::exchange(lost, false))
                complain("connected again");
        };
    Client client(conninfo(connection), client_options);
    Tail tail(client, options);
    tail.backlog();
    if (options.follow && !interrupted())
        tail.follow();
    return interrupted() ? 128 + interrupted() : tail.exit_code();
}

}  // namespace rill::cli
