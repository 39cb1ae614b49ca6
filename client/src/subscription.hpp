// What a Reader and the background loop share about one followed stream: a bounded buffer of pages, and how it ended.
//
// Situations it must survive: stop() or the client's closing while next() blocks or while a fetch for it is under way;
// a consumer that never comes; a Reader that outlives the Client. Idle it must stay small (100,000 in one process):
// no thread, timer or connection, and no allocation beyond itself and its name.
//
// Three sides: the consumer's (one thread at a time), the loop's (loop thread only), and what mutex_ protects between
// them. Lock order: mutex_ is never held while the mailbox's is taken, nor while a callback runs.
#pragma once

#include "page.hpp"
#include "rill/chunk.hpp"
#include "rill/error.hpp"
#include "rill/start.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace rill::detail {

class Mailbox;
struct Topic;

// One page as it came from the server, checked to be well-formed.
struct Page {
    std::shared_ptr<const std::byte[]> bytes;
    std::size_t size = 0;
    std::uint64_t chunks = 0;

    [[nodiscard]] std::size_t cost() const noexcept { return size + 128; }  // with what holds it
    [[nodiscard]] std::span<const std::byte> span() const noexcept { return {bytes.get(), size}; }
};

// The bounds of one reader's buffer.
struct Bounds {
    std::size_t chunks;
    std::size_t bytes;
};

// What makes the loop look at a stream; the least one wins when several do.
enum Reason : std::uint8_t { kCatchUp = 1, kWait = 2, kNotify = 4, kPoll = 8 };

class Subscription : public std::enable_shared_from_this<Subscription> {
public:
    Subscription(std::string stream, Position start, std::shared_ptr<Mailbox> mailbox, Bounds bounds);

    // --- the Reader's ----------------------------------------------------------------------------------------------
    [[nodiscard]] std::optional<Chunk> next(const std::chrono::steady_clock::time_point *deadline);
    [[nodiscard]] const Position &position() const noexcept { return position_; }
    [[nodiscard]] bool ended() const noexcept { return ended_.load(std::memory_order_acquire); }
    [[nodiscard]] bool stopped() const noexcept { return state_.load(std::memory_order_acquire) == State::stopped; }
    [[nodiscard]] const std::string &stream() const noexcept { return stream_; }
    void stop() noexcept;
    void on_ready(std::function<void()> ready);

    // --- the loop's ------------------------------------------------------------------------------------------------
    // False: there is nobody to take it any more.
    bool deliver(Page page);
    void fail(const Error &error);
    void client_closed() noexcept;
    // The buffer is so full that no more should be fetched. From then on, until the consumer has drained it to half
    // and posted the subscription, it stays so.
    [[nodiscard]] bool full();
    // Calls the on_ready callback if the consumer has something to look at; counts an exception of it.
    void poke(std::atomic<std::uint64_t> &callback_errors);

    // Loop thread only.
    struct {
        Topic *topic = nullptr;  // null: not registered
        std::uint32_t slot = 0;  // its place among the topic's subscriptions
        std::uint32_t next_rider = 0;
        std::uint32_t verified_in = 0;  // the connection in which the cursor was verified; 0 never
        Position cursor;                // behind the last chunk fetched
        std::uint8_t reasons = 0;
        bool done = false;    // it was registered once, and is not to be again
        bool resume = false;  // the chunk at the cursor itself is still to be looked at: it may be the EOF
        bool queued = false;
        bool in_flight = false;
        bool waiting = false;    // in flight in a query that waits for news
        bool again = false;      // a wake-up came while it was in flight
        bool saturated = false;  // its buffer was full when last looked at
    } loop;

private:
    friend class Mailbox;
    enum class State : std::uint8_t { open, failed, closed, stopped };

    [[nodiscard]] std::optional<Chunk> decode();
    void end(State state) noexcept;
    void give_up_pages() noexcept;
    [[nodiscard]] bool over(std::size_t part) const noexcept;

    const std::string stream_;
    const std::shared_ptr<Mailbox> mailbox_;
    const Bounds bounds_;

    // The consumer's.
    Page page_;
    PageReader decoder_;
    Position position_;

    std::atomic<bool> ended_{false};
    std::atomic<State> state_{State::open};  // written under mutex_

    std::mutex mutex_;
    std::condition_variable arrived_;
    // Protected by mutex_.
    std::list<Page> pages_;
    std::size_t buffered_chunks_ = 0;
    std::size_t buffered_bytes_ = 0;
    bool was_full_ = false;
    bool in_hand_ = false;  // the consumer's page may hold more chunks, or the end
    std::unique_ptr<const Error> error_;
    std::shared_ptr<const std::function<void()>> ready_;

    // Protected by the mailbox's mutex.
    bool posted_ = false;
    std::shared_ptr<Subscription> next_posted_;
};

}  // namespace rill::detail
