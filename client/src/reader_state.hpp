// What the background loop knows of one reader: its cursor, whether the server has verified it, and whether there is
// anything to fetch for the reader. Only the transitions below change it; they are made by the Registry, the FetchQueue
// and the FetchAnswer, and by the Loop when a buffer was drained. Pure. Loop thread only.
//
// Phases:
//
//   from                  event                                          to
//   unregistered          join()                                         idle
//   idle                  wake()                                         queued, and the caller queues it
//   queued                wake(), not by the poll, but queued by it      queued, and the caller queues it again
//                         take()                                         fetching
//   idle                  take_waiting()                                 waiting
//   fetching              wake()                                         fetching_woken
//   waiting               wake(), but not by NOTIFY                      waiting_woken
//   fetching, waiting     finish(): the query had nothing more for it    idle
//                         finish(more)                                   queued, and the caller queues it
//   *_woken               finish(), finish(more)                         queued, and the caller queues it
//   fetching*, waiting*   put_back(): the query failed                   queued, and the caller queues it
//                         fill(): its buffer is full                     full
//   full                  drain(): its buffer has room                   idle
//   queued, fetching*, waiting*
//                         reset(): a new connection                      idle
//   any                   leave(): stopped, ended or failed              removed
//
// What is not in the table changes nothing: wake-ups pass a full reader over until it is drained, and a removed one
// forever. A NOTIFY does not wake a waiting reader, since the chunks that it announces end the query's wait.
//
// The cursor, in one connection:
//
//   resuming     reading begins behind a chunk that this client has not read: that chunk is fetched as well, since
//                nothing comes behind it if it is the EOF
//     -> verified     set_verified(): it is the right chunk
//     -> unverified   stop_resuming(): it is gone or another one; the server will say what is wrong
//   unverified   the next query verifies the cursor (promise I8)
//     -> verified     set_verified(): the server has
//   verified     the next query just reads behind it
//     -> unverified   doubt(); reset(), since a new connection may lead to another server
#pragma once

#include "rill/start.hpp"

#include <cstdint>

namespace rill::detail {

struct FollowedStream;

// What caused a fetch. If there are several reasons, the lowest one counts.
enum FetchReason : std::uint8_t { kCatchUp = 1, kWait = 2, kNotify = 4, kPoll = 8 };

class ReaderState {
public:
    enum class Phase : std::uint8_t {
        unregistered,
        idle,
        queued,
        fetching,
        fetching_woken,
        waiting,
        waiting_woken,
        full,
        removed
    };
    enum class CursorCheck : std::uint8_t { resuming, unverified, verified };
    enum class Wake { ignored, noted, queue };

    explicit ReaderState(const Position &start) noexcept
        : cursor_(start), cursor_check_(start.id > 0 ? CursorCheck::resuming : CursorCheck::unverified) {}

    [[nodiscard]] Phase phase() const noexcept { return phase_; }
    [[nodiscard]] bool registered() const noexcept { return stream_ != nullptr; }
    [[nodiscard]] bool waiting() const noexcept { return phase_ == Phase::waiting || phase_ == Phase::waiting_woken; }
    [[nodiscard]] bool woken() const noexcept {
        return phase_ == Phase::fetching_woken || phase_ == Phase::waiting_woken;
    }
    [[nodiscard]] bool in_query() const noexcept {
        return phase_ == Phase::fetching || phase_ == Phase::waiting || woken();
    }

    // Its stream, while it is registered, and its place among the stream's readers.
    [[nodiscard]] FollowedStream *stream() const noexcept { return stream_; }
    [[nodiscard]] std::uint32_t index() const noexcept { return index_; }
    void set_index(std::uint32_t index) noexcept { index_ = index; }

    // Behind the last chunk that was put into the reader's buffer.
    [[nodiscard]] const Position &cursor() const noexcept { return cursor_; }
    void move_cursor(const Position &to) noexcept { cursor_ = to; }

    [[nodiscard]] CursorCheck cursor_check() const noexcept { return cursor_check_; }
    [[nodiscard]] bool verified() const noexcept { return cursor_check_ == CursorCheck::verified; }
    [[nodiscard]] bool resuming() const noexcept { return cursor_check_ == CursorCheck::resuming; }
    void set_verified() noexcept { cursor_check_ = CursorCheck::verified; }
    void doubt() noexcept {
        if (verified())
            cursor_check_ = CursorCheck::unverified;
    }
    // The chunk at the cursor was not the one expected.
    void stop_resuming() noexcept {
        if (resuming())
            cursor_check_ = CursorCheck::unverified;
    }

    // Only the poll asks for the fetch, and nothing is known to have come: others go first.
    [[nodiscard]] bool only_polled() const noexcept { return reasons_ == kPoll; }
    // The reasons of the fetch that is to come or under way.
    [[nodiscard]] std::uint8_t reasons() const noexcept { return reasons_; }

    // --- transitions: see the table --------------------------------------------------------------------------------

    void join(FollowedStream &stream, std::uint32_t index) noexcept {
        if (phase_ != Phase::unregistered)
            return;
        stream_ = &stream;
        index_ = index;
        phase_ = Phase::idle;
    }

    [[nodiscard]] Wake wake(FetchReason reason) noexcept {
        Wake result = Wake::noted;
        switch (phase_) {
        case Phase::unregistered:
        case Phase::full:
        case Phase::removed:
            return Wake::ignored;
        case Phase::waiting:
        case Phase::waiting_woken:
            if (reason == kNotify)
                return Wake::ignored;
            phase_ = Phase::waiting_woken;
            break;
        case Phase::fetching:
        case Phase::fetching_woken:
            phase_ = Phase::fetching_woken;
            break;
        case Phase::queued:
            if (reasons_ == kPoll && reason != kPoll)
                result = Wake::queue;
            break;
        case Phase::idle:
            phase_ = Phase::queued;
            result = Wake::queue;
        }
        reasons_ |= reason;
        return result;
    }

    void take() noexcept {
        if (phase_ == Phase::queued)
            phase_ = Phase::fetching;
    }

    void take_waiting() noexcept {
        if (phase_ != Phase::idle)
            return;
        phase_ = Phase::waiting;
        reasons_ |= kWait;
    }

    // True: the caller queues it.
    [[nodiscard]] bool finish(bool more) noexcept {
        if (!in_query())
            return false;
        const bool again = more || woken();
        phase_ = again ? Phase::queued : Phase::idle;
        if (!again)
            reasons_ = 0;
        return again;
    }

    // True: the caller queues it.
    [[nodiscard]] bool put_back() noexcept {
        if (!in_query())
            return false;
        phase_ = Phase::queued;
        return true;
    }

    void fill() noexcept {
        if (in_query())
            phase_ = Phase::full;
    }

    void drain() noexcept {
        if (phase_ == Phase::full)
            phase_ = Phase::idle;
    }

    void reset() noexcept {
        if (phase_ == Phase::queued || in_query())
            phase_ = Phase::idle;
        doubt();
    }

    void leave() noexcept {
        stream_ = nullptr;
        phase_ = Phase::removed;
    }

private:
    FollowedStream *stream_ = nullptr;
    Position cursor_;
    std::uint32_t index_ = 0;
    Phase phase_ = Phase::unregistered;
    CursorCheck cursor_check_;
    std::uint8_t reasons_ = 0;
};

}  // namespace rill::detail
