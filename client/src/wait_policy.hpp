// Whether the read connection may wait in the server now. Pure.
//
// Each chunk ends such a wait, and the next wait takes another call. For quiet streams that is the fastest way to hear
// of a chunk; for busy ones it is cheaper to fetch what has gathered. So after several waits in a row that news ended
// within a millisecond there is a pause, which doubles up to a second; meanwhile NOTIFY brings news, or, where there is
// none, the next wait returns what has gathered.
//
// A wait also ends when its own statement reaches the server in two pieces, cut just before or inside its last few
// bytes: the server takes those for the client's request to end it. Where the statement is cut depends on its length,
// and the next one would be cut at the same place: so it is made longer.
#pragma once

#include "monotonic.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>

namespace rill::detail {

class WaitPolicy {
public:
    [[nodiscard]] TimePoint not_before() const noexcept { return not_before_; }

    // A wait has ended. True: there is so much news that everything should be fetched for now.
    bool ended(TimePoint since, TimePoint now, bool news, bool listening) noexcept {
        if (news)
            cut_short_in_a_row_ = 0;
        if (!news || now - since >= kShort) {
            short_in_a_row_ = 0;
            pause_ = kFirstPause;
            return false;
        }
        if (++short_in_a_row_ < kMaxShort)
            return short_in_a_row_ > 1;
        short_in_a_row_ = 0;
        not_before_ = now + (listening ? pause_ : kFirstPause);
        pause_ = std::min(pause_ * 2, kMaxPause);
        return true;
    }

    // The server has ended a wait with an error. If that came at once it does not allow waiting, and is left alone for
    // a while; if it cancels waits after some time (statement_timeout), waiting until then is worth it.
    void failed(TimePoint since, TimePoint now) noexcept {
        if (now - since < kAtOnce)
            not_before_ = now + kLeaveAlone;
    }

    // A wait has ended without news and without a request to end it.
    void cut_short(TimePoint since, TimePoint now) noexcept {
        if (now - since >= kLong) {
            cut_short_in_a_row_ = 0;
            return;
        }
        padding_ = (padding_ + kPaddingStep) % kMaxPadding;
        if (++cut_short_in_a_row_ == kMaxCutShort) {
            cut_short_in_a_row_ = 0;
            not_before_ = now + kLeaveAlone;
        }
    }
    // By how many bytes to make the statement longer.
    [[nodiscard]] std::size_t padding() const noexcept { return padding_; }

    void reset() noexcept { *this = {}; }

private:
    using Milliseconds = std::chrono::milliseconds;
    static constexpr Milliseconds kShort{1};
    static constexpr int kMaxShort = 8;
    static constexpr Milliseconds kFirstPause{10};
    static constexpr Milliseconds kMaxPause{1'000};
    static constexpr Milliseconds kAtOnce{100};
    static constexpr Milliseconds kLong{30'000};
    static constexpr int kMaxCutShort = 4;
    static constexpr std::size_t kPaddingStep = 16;
    static constexpr std::size_t kMaxPadding = 128;
    static constexpr Milliseconds kLeaveAlone{30'000};

    int short_in_a_row_ = 0;
    int cut_short_in_a_row_ = 0;
    std::size_t padding_ = 0;
    Milliseconds pause_ = kFirstPause;
    TimePoint not_before_{};
};

}  // namespace rill::detail
