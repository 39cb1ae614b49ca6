// GET: catch-up and long-poll by a page, and Server-Sent Events. Each is a librill Reader of its own, which costs no
// connection and no timer there: the client follows all of them over two connections. A Reader's chunks come in order,
// each once, whatever happens to the connection meanwhile, and its cursor is verified by its epoch.
//
// Everything runs on the loop's thread; a Reader's on_ready() posts to it. A read lives while something that may still
// happen refers to it: its Exchange, its timers. It survives: clients that leave, streams that are deleted, a database
// that is gone for a while, and the server's stop.
#pragma once

#include "calls.hpp"
#include "http.hpp"
#include "rill/client.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_set>
#include <utility>

namespace rill::serve {

struct ReadOptions {
    std::size_t page_bytes = std::size_t{1} * 1024 * 1024;
    std::chrono::milliseconds page_timeout{10'000};
    std::chrono::milliseconds long_poll{30'000};
    std::chrono::milliseconds keep_alive{15'000};
    std::chrono::milliseconds events_for{60'000};  // then the client connects again
    std::size_t unsent_bytes = 256 * 1024;         // beyond, a slow client's stream is not read
};

// A read that is under way.
class LiveRead {
public:
    virtual ~LiveRead() = default;
    // The server stops: answer with what there is.
    virtual void end() = 0;
};

// What the reads share. It outlives them.
struct ReadContext {
    ReadContext(Loop &a_loop, Client &a_client, const ReadOptions &some_options,
                std::function<void(const std::string &, std::int64_t)> a_touch)
        : loop(a_loop), client(a_client), options(some_options), touch(std::move(a_touch)) {}

    Loop &loop;
    Client &client;
    const ReadOptions options;
    // Counts as use of the stream, which has this time to live in seconds; never blocks.
    std::function<void(const std::string &stream, std::int64_t ttl)> touch;
    std::unordered_set<LiveRead *> live{};
    std::uint64_t events_sent = 0;
};

void read_page(ReadContext &context, ReadPlan plan, std::shared_ptr<Exchange> exchange);
void follow_events(ReadContext &context, ReadPlan plan, std::shared_ptr<Exchange> exchange);

// Of the live modes' answers.
[[nodiscard]] std::string cursor_for(const ReadPlan &plan);

}  // namespace rill::serve
