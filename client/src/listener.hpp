// The LISTEN connection: turns NOTIFYs into looks at the named streams.
//
// Situations it must survive: LISTEN refused (a standby, no shared_preload_libraries, no right to it): the client polls
// and this tries again now and then, since a standby is promoted and a server configured one day. A connection that
// drops or goes silent: it is checked at each poll. What was notified in between is lost, so each time LISTEN comes
// into place everybody is looked at. Loop thread only.
#pragma once

#include "counters.hpp"
#include "link.hpp"
#include "registry.hpp"

namespace rill::detail {

class Listener {
public:
    Listener(Link link, Registry &registry, Counters &counters, const Teller &teller)
        : link_(std::move(link)), registry_(registry), counters_(counters), teller_(teller) {}

    [[nodiscard]] const Link &link() const noexcept { return link_; }
    [[nodiscard]] TimePoint wake_at() const noexcept;

    // Somebody follows something: from now on there is a connection. A client that only appends needs none.
    void start() noexcept { started_ = true; }
    void advance(short revents, TimePoint now);
    // The poll is due: show that the connection lives.
    void check(TimePoint now);
    [[nodiscard]] bool listening() const noexcept { return listening_; }

private:
    void hear();
    void listen(TimePoint now);
    void answered(TimePoint now);
    void set_listening(bool on) noexcept;

    Link link_;
    Registry &registry_;
    Counters &counters_;
    const Teller &teller_;

    bool started_ = false;
    bool listening_ = false;
    bool asked_to_listen_ = false;  // the statement under way is stream_listen()
    bool was_up_ = false;
    TimePoint retry_at_ = TimePoint::max();  // while LISTEN is refused
    std::string refusal_;                    // told already
};

}  // namespace rill::detail
