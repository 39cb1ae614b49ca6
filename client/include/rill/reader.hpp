// A Reader follows one stream: chunks in order, each once, whatever happens to the connection meanwhile.
//
// It has no connection, thread or timer of its own; the Client's background loop fills its bounded buffer.
// Situations it must survive: its Client closed or destroyed first (next() throws Closed), stop() or destruction from
// another thread at any moment, the stream not there yet, the server gone for a while.
#pragma once

#include "rill/chunk.hpp"
#include "rill/export.hpp"
#include "rill/start.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace rill {

namespace detail {
class Subscription;
}

/// Thread-safety: next() and position() by one thread at a time; stop(), stopped(), ended(), stream() and on_ready()
/// from any thread. Moving or destroying a Reader while another thread uses it is a race like with any object: call
/// stop() first and let that thread return.
class RILL_API Reader {
public:
    Reader(Reader &&) noexcept = default;
    Reader &operator=(Reader &&other) noexcept;
    Reader(const Reader &) = delete;
    Reader &operator=(const Reader &) = delete;
    /// Stops.
    ~Reader();

    /// Blocks until the next chunk. nullopt after the end of the stream (ended()) and after stop() (stopped()).
    /// Throws Closed when the client was closed, and Error when this cursor cannot go on (RL002 trimmed away, RL003 the
    /// server's history diverged, RL007 the stream is gone) or the server refuses it; then each further call throws it
    /// again. A connection that is lost is no error here: it blocks until the client is connected again.
    /// An empty chunk that only closes the stream is not handed out.
    [[nodiscard]] std::optional<Chunk> next();

    /// The same, but returns nullopt when nothing came in time; then neither ended() nor stopped() is true.
    /// A timeout of zero never blocks.
    [[nodiscard]] std::optional<Chunk> next(std::chrono::nanoseconds timeout);
    [[nodiscard]] std::optional<Chunk> next_until(std::chrono::steady_clock::time_point deadline);

    /// next() has come to the end of the stream: it has been closed and everything was handed out.
    [[nodiscard]] bool ended() const noexcept;

    /// The cursor behind the last chunk that next() handed out, for after(); initially where reading began.
    [[nodiscard]] Position position() const;

    [[nodiscard]] const std::string &stream() const noexcept;

    /// Ends following: a next() that blocks in another thread returns nullopt, buffered chunks are dropped. Never
    /// blocks, idempotent, allowed at any time, also after the client is gone.
    void stop() noexcept;
    [[nodiscard]] bool stopped() const noexcept;

    /// Calls `ready` on the client's background thread each time when next() may have something new to say: a chunk,
    /// the end, an error, the client's closing; at once if that is so already. The way to wait for many readers or to
    /// join an event loop: let it post a token, then call next(0) until it gives nullopt. It must not block, and may
    /// still be running for a moment when stop() or the destructor returns, so let it own what it touches.
    void on_ready(std::function<void()> ready);

private:
    friend class Client;
    explicit Reader(std::shared_ptr<detail::Subscription> subscription) noexcept;

    std::shared_ptr<detail::Subscription> subscription_;
};

}  // namespace rill
