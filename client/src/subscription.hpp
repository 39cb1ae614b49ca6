// What a Reader and the background loop share of one followed stream: a bounded buffer of pages, and how it ended.
//
// Situations it must survive: stop() or the client's closing while next() blocks or while a fetch for it is under way;
// a consumer that never comes; a Reader that outlives its Client. Idle it must stay small (100,000 in one process): no
// thread, timer or connection, and no allocation beside itself and its name.
//
// Its members have three owners: the consumer (one thread at a time), the loop (its thread only), and, between them,
// mutex_. Lock order: mutex_ is never held while the mailbox's mutex is taken, nor while a callback runs.
//
// Readiness is a level, not an edge: on_ready is called for whatever next(0) would return, be it in the buffer, in the
// page that the consumer has begun, or the end. Only the loop's thread calls it, so that stop() may be called with a
// lock that on_ready takes; but once the loop has ended, who sets it calls it.
#pragma once

#include "page.hpp"
#include "reader_state.hpp"
#include "rill/chunk.hpp"
#include "rill/error.hpp"
#include "rill/start.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <limits>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

namespace rill::detail {

class Mailbox;

// One page as it came from the server, checked to be well-formed.
struct Page {
    std::shared_ptr<const std::byte[]> bytes;
    std::size_t size = 0;
    std::uint64_t chunks = 0;

    [[nodiscard]] std::size_t cost() const noexcept { return size + 128; }  // with what holds it
    [[nodiscard]] std::span<const std::byte> span() const noexcept { return {bytes.get(), size}; }
};

// The limits of one reader's buffer.
struct BufferLimits {
    std::size_t chunks;
    std::size_t bytes;
};

// What next() leaves out at first: chunks that were not there yet when the cursor for the start was sought.
struct LeftOut {
    std::int64_t chunks = 0;                                         // so many data chunks,
    std::int64_t before = std::numeric_limits<std::int64_t>::min();  // and those appended before this server time
};

class Subscription : public std::enable_shared_from_this<Subscription> {
public:
    Subscription(std::string stream, Position start, std::shared_ptr<Mailbox> mailbox, BufferLimits limits,
                 LeftOut left_out = {});

    // --- the Reader's ----------------------------------------------------------------------------------------------
    // A null deadline is none.
    [[nodiscard]] std::optional<Chunk> next(const std::chrono::steady_clock::time_point *deadline,
                                            const std::stop_token &token = {});
    [[nodiscard]] bool caught_up();
    [[nodiscard]] const Position &position() const noexcept { return position_; }
    [[nodiscard]] bool ended() const noexcept { return ended_.load(std::memory_order_acquire); }
    [[nodiscard]] bool stopped() const noexcept { return outcome_.load(std::memory_order_acquire) == Outcome::stopped; }
    [[nodiscard]] const std::string &stream() const noexcept { return stream_; }
    // This is a forked child's copy: nothing of it may be used.
    [[nodiscard]] bool foreign() const noexcept;
    void stop() noexcept;
    void on_ready(std::function<void()> ready);

    // --- the loop's ------------------------------------------------------------------------------------------------
    // False: the reader does not want it any more.
    bool deliver(Page page);
    void fail(const Error &error);
    void client_closed() noexcept;
    // The buffer is so full that nothing more should be fetched. It stays full until the consumer has drained it to
    // half; the subscription is posted then.
    [[nodiscard]] bool full();
    // A query has found nothing more for it than was delivered; or more may have come.
    void set_at_head(bool at_head) noexcept { at_head_.store(at_head, std::memory_order_release); }
    [[nodiscard]] bool at_head() const noexcept { return at_head_.load(std::memory_order_acquire); }
    // Calls the on_ready callback if next(0) may have something new, or it has caught up; counts an exception that
    // leaves it.
    void notify_ready(std::atomic<std::uint64_t> &callback_errors);

    ReaderState state;  // the loop's thread only

private:
    friend class Mailbox;
    enum class Outcome : std::uint8_t { open, failed, closed, stopped };

    [[nodiscard]] std::optional<Chunk> decode();
    [[nodiscard]] bool leaves_out(const PageChunk &chunk) noexcept;
    void finish(Outcome outcome) noexcept;
    [[nodiscard]] bool over(std::size_t part) const noexcept;

    const std::string stream_;
    const std::shared_ptr<Mailbox> mailbox_;
    const BufferLimits limits_;

    // The consumer's.
    Page page_;
    PageReader decoder_;
    Position position_;
    LeftOut left_out_;

    std::atomic<bool> ended_{false};
    std::atomic<bool> at_head_{false};             // written by the loop
    std::atomic<Outcome> outcome_{Outcome::open};  // written under mutex_

    std::mutex mutex_;
    std::condition_variable arrived_;
    // Protected by mutex_.
    std::list<Page> pages_;
    std::size_t buffered_chunks_ = 0;
    std::size_t buffered_bytes_ = 0;
    bool full_ = false;
    bool page_taken_ = false;  // the consumer's page may hold more chunks, or the end
    std::unique_ptr<const Error> error_;
    std::shared_ptr<const std::function<void()>> ready_;

    // Protected by the mailbox's mutex.
    bool posted_ = false;
    std::shared_ptr<Subscription> next_posted_;
};

}  // namespace rill::detail
