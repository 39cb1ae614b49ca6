// A Reader follows one stream: its chunks in order, each once, whatever happens to the connection meanwhile.
//
// It has no connection, thread or timer of its own; the Client's background thread fills its bounded buffer.
// Situations it must survive: its Client closed or destroyed first (next() throws Closed), stop() or destruction from
// another thread at any moment, a stream that does not exist yet, a server that is gone for a while.
#pragma once

#include "rill/chunk.hpp"
#include "rill/export.hpp"
#include "rill/start.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

namespace rill {

namespace detail {
class Subscription;
}

/// Thread-safety: next(), caught_up() and position() by one thread at a time; stop(), stopped(), ended(), stream() and
/// on_ready() from any thread. Moving or destroying a Reader while another thread uses it is a race, as with any
/// object: call stop() first and wait until that thread has returned. Lifetime: a Reader may outlive its Client. In a
/// forked child it can only be destroyed: next(), position() and on_ready() throw Error 55000 there, as they do on a
/// Reader that was moved from.
class RILL_API Reader {
public:
    Reader(Reader &&) noexcept = default;
    Reader &operator=(Reader &&other) noexcept;
    Reader(const Reader &) = delete;
    Reader &operator=(const Reader &) = delete;
    /// Stops following.
    ~Reader();

    /// Blocks until the next chunk and returns it. Returns nullopt after the end of the stream (ended()) and after
    /// stop() (stopped()). An empty chunk that only closes the stream is not returned.
    /// Throws Closed when the client was closed, and Error when reading cannot continue behind this cursor (RL002 the
    /// chunks there were trimmed, RL003 the server's history diverged, RL007 the stream does not exist) or the server
    /// refuses; from then on each call throws the same. A lost connection is no error here: next() blocks until the
    /// client has connected again, at most Options::give_up_after if that is set.
    [[nodiscard]] std::optional<Chunk> next();

    /// The same, but also returns nullopt if no chunk comes in time; then neither ended() nor stopped() is true.
    /// A timeout of zero never blocks.
    [[nodiscard]] std::optional<Chunk> next(std::chrono::nanoseconds timeout);
    [[nodiscard]] std::optional<Chunk> next_until(std::chrono::steady_clock::time_point deadline);
    /// The same, but also returns nullopt once a stop of `token` has been requested and nothing is there to be read.
    [[nodiscard]] std::optional<Chunk> next(const std::stop_token &token);

    /// Whether next() has returned everything that the last query for this stream has found, so that what comes now is
    /// new. False before the first query and while a wake-up has announced more. Never blocks; true after the end.
    /// Stays as it was while the connection is lost.
    [[nodiscard]] bool caught_up() const;

    /// The stream was closed, and next() has come to its end.
    [[nodiscard]] bool ended() const noexcept;

    /// The cursor behind the last chunk that next() returned or skipped, for after(). At first it is where reading
    /// began. It does not tell how many chunks skip() or since() still leave out.
    [[nodiscard]] Position position() const;

    [[nodiscard]] const std::string &stream() const noexcept;

    /// Stops following: a next() that blocks in another thread returns nullopt, and buffered chunks are dropped. Never
    /// blocks. Idempotent, and allowed at any time, even after the client is gone.
    void stop() noexcept;
    [[nodiscard]] bool stopped() const noexcept;

    /// Sets the function that the client's background thread calls whenever next() may have something new: a chunk, the
    /// end, an error, the client's closing, or when caught_up() has become true. If that is so already it is called at
    /// once. This is how one thread waits for many readers, or an event loop follows them: let the function post a
    /// message, and on that message call next(0) until it returns nullopt. The function must not block. It may still
    /// run for a moment after stop() or the destructor has returned, so let it own what it uses. Only when the client
    /// is closed already does this call run the function itself, before it returns; no other call ever does.
    void on_ready(std::function<void()> ready);

private:
    friend class Client;
    explicit Reader(std::shared_ptr<detail::Subscription> subscription) noexcept;

    std::shared_ptr<detail::Subscription> subscription_;
};

}  // namespace rill
