// Calls of the database for requests: who waits for a call thread, who is tried again, and who has waited long enough.
//
// The protocol's own producers give up at the first 503, so a short outage must not become one: what had no effect, or
// may be repeated, is tried for some seconds. A request that came before the one that its producer has sent before it
// waits as well: the two may have taken different connections, or different servers like this one.
//
// Why one stream does not stop the others: its writers may block in the server, for as long as a session there keeps
// its end uncommitted, and they have at most half of the threads at any time. Why a client is not answered for ages:
// the time runs from the request's arrival, and what has waited for all of it is answered without a call, which would
// have its effect after the client has given up.
//
// Situations it must survive: a database that is gone, silent or slow; more requests than threads; the end of the
// gateway while calls are under way.
#pragma once

#include "call_threads.hpp"
#include "http.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

namespace rill::serve {

struct AttemptOptions {
    std::size_t threads = 8;
    std::size_t open = 10'000;                      // requests without an answer
    std::chrono::milliseconds producer_wait{250};   // for the request before one that came too early
    std::chrono::milliseconds outage_wait{10'000};  // before an outage of the database is an answer
};

// A call of the database for a request: made again while it may still come to something.
struct Attempt {
    std::shared_ptr<Exchange> exchange{};
    // Makes the answer, on a call thread. nullopt: too early, try again; not when `waited_enough`.
    std::function<std::optional<Response>(bool waited_enough)> work{};
    // On the loop's thread; left out: sends the answer.
    std::function<void(const std::shared_ptr<Exchange> &, Response)> done{};
    bool repeatable = false;           // harmless when an earlier try did have its effect
    std::string writes_to{};           // the stream that it changes, if any
    std::optional<Response> failed{};  // the last try's outage
    std::chrono::steady_clock::time_point since = std::chrono::steady_clock::now();
};

// Thread-safety: the loop's thread. The destructor waits for the calls that are under way.
class Attempts {
public:
    Attempts(Loop &loop, const AttemptOptions &options);
    Attempts(const Attempts &) = delete;
    Attempts &operator=(const Attempts &) = delete;
    ~Attempts();

    void begin(Attempt attempt);

private:
    // What writes to one stream.
    struct Line {
        std::size_t under_way = 0;
        std::deque<std::shared_ptr<Attempt>> waiting{};
    };

    void admit(const std::shared_ptr<Attempt> &attempt);
    void call(const std::shared_ptr<Attempt> &attempt);
    void returned(const std::shared_ptr<Attempt> &attempt, std::optional<Response> answer, bool waited_enough);

    Loop &loop_;
    const AttemptOptions options_;
    // What is posted to the loop after this object's end does nothing.
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    std::size_t open_ = 0;  // attempts that have no answer yet
    std::unordered_map<std::string, Line> lines_;
    std::map<std::uint64_t, Timer> retries_;
    std::uint64_t next_retry_ = 0;
    CallThreads threads_;
};

}  // namespace rill::serve
