// The LISTEN connection: turns NOTIFYs into wake-ups of the streams that they name.
//
//   from        event                                            to
//   off         start(): the first reader                        down
//   down        the link has connected                           testing     (LISTEN on the test's channel is sent)
//   testing     the test's notification has arrived              requesting  (stream_listen() is sent)
//   requesting  the server registers the session                 listening   (all readers are woken)
//   testing, requesting
//               the server refuses, or no notification arrives   refused     (reported once for each reason)
//   listening   the check, or a test that was repeated, fails    down        (the link is dropped)
//   refused     half a minute has passed                         testing
//   any but off the link is lost                                 down
//
// The test is repeated whenever the read connection is a new one, for that may lead elsewhere, and when a poll found
// what no NOTIFY had announced.
//
// Situations it must survive: LISTEN refused (a standby, no shared_preload_libraries, no privilege) or accepted without
// any effect (a transaction pooler, another database): the client polls, and this retries from time to time, since a
// standby may be promoted and a server reconfigured. A connection that is
// lost or goes silent: each poll checks it. NOTIFYs sent in between are lost, so all readers are woken whenever LISTEN
// takes effect. Loop thread only.
#pragma once

#include "counters.hpp"
#include "event_sink.hpp"
#include "link.hpp"
#include "listen_test.hpp"
#include "registry.hpp"
#include "rescues.hpp"

#include <string>

namespace rill::detail {

class Listener {
public:
    Listener(Link link, ListenTest &test, Registry &registry, Rescues &rescues, Counters &counters,
             const EventSink &events)
        : link_(std::move(link)), test_(test), registry_(registry), rescues_(rescues), counters_(counters),
          events_(events) {}

    [[nodiscard]] const Link &link() const noexcept { return link_; }
    [[nodiscard]] TimePoint wake_at() const noexcept;

    // There is a reader: from now on a connection is kept. A client that only appends needs none.
    void start() noexcept {
        if (state_ == State::off)
            state_ = State::down;
    }
    void advance(short revents, TimePoint now);
    // The poll is due: checks that the connection is alive.
    void check(TimePoint now);
    [[nodiscard]] bool listening() const noexcept { return state_ == State::listening; }
    // LISTEN is accepted, and no notification arrives.
    [[nodiscard]] bool silent() const noexcept { return silent_; }
    // There is reason to doubt that notifications arrive.
    void doubt() {
        if (listening() || test_.active())
            test_.begin();
    }
    void try_now(TimePoint now) noexcept { link_.try_now(now); }

private:
    enum class State { off, down, testing, requesting, listening, refused };

    void read_notifications();
    void begin_test(TimePoint now);
    void check_test(TimePoint now);
    void request(TimePoint now);
    void answered(TimePoint now);
    void refused(const Error &why, TimePoint now);
    void lost(const Error &why);
    void set_state(State state) noexcept;

    Link link_;
    ListenTest &test_;
    Registry &registry_;
    Rescues &rescues_;
    Counters &counters_;
    const EventSink &events_;

    State state_ = State::off;
    TimePoint retry_at_ = TimePoint::max();  // while refused
    std::string reported_refusal_;
    bool silent_ = false;
    bool looked_again_ = false;  // the extension was not found, and its place was asked for again
};

}  // namespace rill::detail
