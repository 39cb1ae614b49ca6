// One connection of the background loop: made, kept and made again, without ever blocking the loop.
//
//   from        event                                       to
//   down        the backoff has passed                      connecting
//   connecting  the Connector has connected                 idle        Progress::connected
//               the Connector has failed                    down        Progress::failed
//   idle        send()                                      busy
//   idle        wait()                                      waiting
//   busy        the answer is complete                      idle        Progress::answered
//   waiting     the same; end_wait() makes it come soon     idle        Progress::answered
//   idle, busy, waiting
//               the connection has ended, or the answer
//               does not come in time                       down        Progress::lost
//               drop()                                      down
//
// An answer is late when nothing has arrived for the response timeout. A server that waits for a stream owes no answer
// before end_wait(). Situations it must survive, beside the Connector's: a server that goes away at any moment, one
// that accepts everything and answers nothing, one that is merely slow (the response timeout doubles, up to a minute,
// each time it passes). Loop thread only.
#pragma once

#include "backoff.hpp"
#include "connector.hpp"
#include "monotonic.hpp"
#include "session.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <random>
#include <string>

namespace rill::detail {

class Link {
public:
    enum class State { down, connecting, idle, busy, waiting };
    enum class Progress {
        none,
        connected,  // idle, and schema() is known
        answered,   // idle again, and take_result() has the answer
        lost,       // down: a connection was lost; loss() says why, the next attempt is scheduled
        failed,     // down: an attempt to connect has failed; likewise
    };

    // `conninfo` must outlive the link. A new link connects at once.
    Link(const Conninfo &conninfo, std::string purpose, Backoff backoff, std::chrono::milliseconds response_timeout)
        : connector_(conninfo, std::move(purpose)), backoff_(backoff), least_response_timeout_(response_timeout),
          response_timeout_(response_timeout) {}

    // Continues as far as it can; `revents` is what poll(2) returned for fd().
    [[nodiscard]] Progress advance(short revents, TimePoint now);

    // For poll(2); fd() is -1 when there is nothing to wait for.
    [[nodiscard]] int fd() const noexcept { return state_ == State::connecting ? connector_.fd() : session_.fd(); }
    [[nodiscard]] short events() const noexcept {
        return state_ == State::connecting ? connector_.events() : session_.events();
    }
    // When advance() must be called at the latest.
    [[nodiscard]] TimePoint wake_at() const noexcept {
        return state_ == State::connecting ? connector_.wake_at() : wake_at_;
    }

    [[nodiscard]] State state() const noexcept { return state_; }
    [[nodiscard]] const std::string &schema() const noexcept { return connector_.schema(); }
    [[nodiscard]] const Error &loss() const noexcept { return loss_; }
    // No pooler is in between.
    [[nodiscard]] bool direct() const noexcept { return connector_.direct(); }
    // How often it has connected.
    [[nodiscard]] std::uint64_t connects() const noexcept { return connects_; }

    // Start a statement; the link must be idle. The next advance() reports a failure.
    void send(const std::string &sql, const Params &params, bool binary, TimePoint now);
    // For one that waits in the server as long as it likes, until end_wait().
    void wait(const std::string &sql, const Params &params, bool binary, TimePoint now);
    void end_wait(TimePoint now);

    [[nodiscard]] Result take_result() noexcept { return session_.take_result(); }
    [[nodiscard]] std::optional<Notification> notification() { return session_.notification(); }

    // The connection is useless, or its answer made no sense: closes it, and tries again later.
    void drop(Error why, TimePoint now);
    // The connection has proved useful: the next loss starts again with the shortest wait.
    void reset_backoff() noexcept {
        backoff_.reset();
        proven_ = true;
    }
    [[nodiscard]] bool proven() const noexcept { return proven_; }
    // Another connection has proved useful, so the server is back: no need to wait any longer.
    void try_now(TimePoint now) noexcept {
        if (state_ == State::down)
            wake_at_ = std::min(wake_at_, now);
    }

private:
    [[nodiscard]] Progress connecting(Connector::Progress progress, TimePoint now);
    [[nodiscard]] Progress advance_session(short revents, TimePoint now);
    void answer_timed_out() noexcept;

    Connector connector_;
    Backoff backoff_;
    const std::chrono::milliseconds least_response_timeout_;
    std::chrono::milliseconds response_timeout_;
    std::minstd_rand random_{std::random_device{}()};

    State state_ = State::down;
    Session session_;
    TimePoint wake_at_{};
    TimePoint answer_by_ = TimePoint::max();
    std::uint64_t connects_ = 0;
    bool proven_ = false;
    Error loss_{"not connected yet"};
};

}  // namespace rill::detail
