// Whether wake-ups arrive: the read connection notifies a channel of this client's own, and the LISTEN connection must
// hear it. LISTEN alone proves nothing. Behind a transaction pooler it succeeds in a session that the next transaction
// does not have, and with a connection string of its own it may lead to another database.
//
//   from       event                                                       to
//   idle       begin(): LISTEN has been accepted, or is doubted            wanted
//   wanted     send(): the read connection takes it                        sent
//   sent       committed(): heard() is due within kPatience                committed
//              failed(): the server refuses                                refused
//              lost(): its connection is lost                              wanted
//   any        heard(): the notification has arrived                       idle
//              end(): the LISTEN connection is lost, or the result read    idle
//
// The notification must come from another connection, while the LISTEN connection is idle: a session notifies itself at
// the end of its own transaction, which a pooler would deliver. The channel is this client's own, so nobody else is
// disturbed. Loop thread only.
#pragma once

#include "monotonic.hpp"
#include "rill/error.hpp"

#include <cstdint>
#include <random>
#include <string>
#include <utility>

namespace rill::detail {

class ListenTest {
public:
    // How long a notification may take.
    static constexpr std::chrono::seconds kPatience{3};

    ListenTest() {
        std::random_device random;
        channel_ = "pg_rill_test_" + std::to_string(random()) + "_" + std::to_string(random());
    }

    // A name that needs no quotes.
    [[nodiscard]] const std::string &channel() const noexcept { return channel_; }
    [[nodiscard]] const std::string &payload() const noexcept { return payload_; }

    [[nodiscard]] bool active() const noexcept { return state_ != State::idle; }
    [[nodiscard]] bool wanted() const noexcept { return state_ == State::wanted; }
    [[nodiscard]] bool refused() const noexcept { return state_ == State::refused; }
    [[nodiscard]] const Error &refusal() const noexcept { return refusal_; }
    // When an answer is due.
    [[nodiscard]] TimePoint due() const noexcept { return state_ == State::committed ? due_ : TimePoint::max(); }
    [[nodiscard]] bool silent(TimePoint now) const noexcept { return state_ == State::committed && now >= due_; }

    void begin() {
        state_ = State::wanted;
        payload_ = std::to_string(++number_);
    }
    void send() noexcept { state_ = State::sent; }
    void committed(TimePoint now) noexcept {
        if (state_ != State::sent)
            return;
        state_ = State::committed;
        due_ = now + kPatience;
    }
    void failed(const Error &why) {
        if (state_ != State::sent)
            return;
        state_ = State::refused;
        refusal_ = why;
    }
    void lost() noexcept {
        if (state_ == State::sent)
            state_ = State::wanted;
    }
    // A notification has arrived on the channel; one of an earlier test changes nothing.
    void heard(const std::string &payload) noexcept {
        if (payload == payload_)
            state_ = State::idle;
    }
    void end() noexcept { state_ = State::idle; }

private:
    enum class State { idle, wanted, sent, committed, refused };

    std::string channel_;
    std::string payload_;
    std::uint64_t number_ = 0;
    State state_ = State::idle;
    TimePoint due_ = TimePoint::max();
    Error refusal_{""};
};

}  // namespace rill::detail
