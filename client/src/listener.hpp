// The LISTEN connection: turns NOTIFYs into wake-ups of the streams that they name.
//
//   from        event                                            to
//   off         start(): the first reader                        down
//   down        the link has connected                           requesting  (stream_listen() is sent)
//   requesting  the server registers the session                 listening   (everybody is woken)
//               the server refuses                               refused     (reported once for each reason)
//   refused     half a minute has passed                         requesting
//   requesting, listening, refused
//               the link is lost                                 down
//
// Situations it must survive: LISTEN refused (a standby, no shared_preload_libraries, no privilege): the client polls,
// and this tries again now and then, since a standby is promoted and a server configured one day. A connection that is
// lost or goes silent: each poll checks it. What was notified in between is lost, so whenever LISTEN comes into place
// everybody is woken. Loop thread only.
#pragma once

#include "counters.hpp"
#include "event_sink.hpp"
#include "link.hpp"
#include "registry.hpp"
#include "rescues.hpp"

#include <string>

namespace rill::detail {

class Listener {
public:
    Listener(Link link, Registry &registry, Rescues &rescues, Counters &counters, const EventSink &events)
        : link_(std::move(link)), registry_(registry), rescues_(rescues), counters_(counters), events_(events) {}

    [[nodiscard]] const Link &link() const noexcept { return link_; }
    [[nodiscard]] TimePoint wake_at() const noexcept;

    // There is a reader: from now on there is a connection. A client that only appends needs none.
    void start() noexcept {
        if (state_ == State::off)
            state_ = State::down;
    }
    void advance(short revents, TimePoint now);
    // The poll is due: checks that the connection lives.
    void check(TimePoint now);
    [[nodiscard]] bool listening() const noexcept { return state_ == State::listening; }

private:
    enum class State { off, down, requesting, listening, refused };

    void read_notifications();
    void request(TimePoint now);
    void answered(TimePoint now);
    void refused(const Error &why, TimePoint now);
    void lost(const Error &why);
    void set_state(State state) noexcept;

    Link link_;
    Registry &registry_;
    Rescues &rescues_;
    Counters &counters_;
    const EventSink &events_;

    State state_ = State::off;
    TimePoint retry_at_ = TimePoint::max();  // while refused
    std::string reported_refusal_;
};

}  // namespace rill::detail
