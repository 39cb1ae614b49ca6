// One connection of the background loop: made, kept and made again without ever blocking the loop.
//
//   down --retry time--> resolving --> connecting --connected, extension found--> idle <--> busy (a statement runs)
//     ^                      |             |                                       |  <--> waiting (one waits in the
//     server)
//     +----- lost -----------+-------------+---------------------------------------+----------+
//
// Situations it must survive: a name service that is away, a host that does not answer (the next attempt begins behind
// it), a server that goes away at any moment, one that accepts everything and answers nothing (deadlines), one that is
// merely slow (deadlines grow). Loop thread only.
#pragma once

#include "backoff.hpp"
#include "conninfo.hpp"
#include "pq.hpp"
#include "route.hpp"

#include <chrono>
#include <random>
#include <string>

namespace rill::detail {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;

class Link {
public:
    enum class State { down, resolving, connecting, preparing, idle, busy, waiting };
    enum class News {
        none,
        connected,  // idle, schema() is known
        result,     // idle again, take_result() has the answer
        lost,       // down, loss() says why, the next attempt is scheduled
    };

    Link(ConnectPlan plan, std::string role, Backoff backoff, std::chrono::milliseconds response_timeout);

    // Makes what progress can be made now; `revents` is what poll(2) said of fd(). Call until it says none.
    [[nodiscard]] News advance(short revents, TimePoint now);

    // For poll(2); -1 when there is nothing to wait for.
    [[nodiscard]] int fd() const noexcept;
    [[nodiscard]] short events() const noexcept { return events_; }
    // When advance() must be called at the latest; max() for never.
    [[nodiscard]] TimePoint wake_at() const noexcept { return wake_at_; }

    [[nodiscard]] State state() const noexcept { return state_; }
    [[nodiscard]] const std::string &schema() const noexcept { return schema_; }
    [[nodiscard]] const Error &loss() const noexcept { return loss_; }
    [[nodiscard]] bool ever_connected() const noexcept { return ever_connected_; }

    // Starts a statement; the link must be idle. A failure shows in the next advance().
    void send(const std::string &sql, const Params &params, bool binary, TimePoint now);
    // Starts one that waits in the server for as long as it likes, until end_wait(). Then it has to answer.
    void wait(const std::string &sql, const Params &params, bool binary, TimePoint now);
    void end_wait(TimePoint now);
    [[nodiscard]] Result take_result() noexcept { return std::move(result_); }
    [[nodiscard]] std::optional<std::string> notification() { return connection_.notification(); }

    // The connection works but is of no use, or its answer made no sense: drop it and try again later.
    void drop(Error why, TimePoint now);
    // It serves its purpose: the next loss begins with the shortest wait.
    void caught_up() noexcept { backoff_.reset(); }

private:
    [[nodiscard]] News resolve(TimePoint now);
    [[nodiscard]] News resolved(TimePoint now);
    [[nodiscard]] News connect(TimePoint now);
    [[nodiscard]] News advance_connect(TimePoint now);
    [[nodiscard]] News advance_query(short revents, TimePoint now);
    [[nodiscard]] News advance_wait(short revents, TimePoint now);
    [[nodiscard]] News answered();
    [[nodiscard]] News lose_silent(TimePoint now);
    [[nodiscard]] News prepare(TimePoint now);
    [[nodiscard]] News lose(Error why, TimePoint now);
    [[nodiscard]] bool push() noexcept;
    void limit_host(TimePoint now);
    [[nodiscard]] TimePoint connect_deadline(TimePoint now) const noexcept;

    ConnectPlan plan_;
    std::string role_;
    Backoff backoff_;
    std::chrono::milliseconds response_timeout_;
    std::chrono::milliseconds patience_;
    std::minstd_rand dice_{std::random_device{}()};

    Connection connection_;
    State state_ = State::down;
    short events_ = 0;
    TimePoint wake_at_{};  // a new link connects at once
    Route route_;
    Target target_;  // the host that is being tried
    bool send_failed_ = false;
    TimePoint answer_by_{};  // after end_wait()
    bool ever_connected_ = false;
    std::string schema_;
    Result result_;
    Error loss_{"not connected yet"};
};

}  // namespace rill::detail
