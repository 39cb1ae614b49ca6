// The background thread of a Client: one poll(2) over the LISTEN connection, the read connection and an eventfd.
//
// It owns what only it touches (links, registry), so nothing of that needs a lock; other threads reach it through the
// mailbox. Situations it must survive: close() at any moment, also in the middle of the first connect or from one of
// its own callbacks; an exception in here (no memory): then every reader and the client are told, none hangs.
#pragma once

#include "conninfo.hpp"
#include "follower.hpp"
#include "listener.hpp"
#include "mailbox.hpp"
#include "rill/options.hpp"

#include <future>
#include <memory>

namespace rill::detail {

class Loop {
public:
    Loop(const ConnectPlan &plan, const Options &options, std::shared_ptr<Mailbox> mailbox, Counters &counters);

    // The thread's body. `connected` is fulfilled by the first connect, or gets the Error that prevented it; then
    // run() returns. Otherwise it returns after a request to stop.
    void run(std::promise<void> connected) noexcept;

private:
    void turn();
    void take_posts();
    void look_at(const std::shared_ptr<Subscription> &subscription);
    void close_all() noexcept;
    void fail_all(const Error &error) noexcept;

    const Options &options_;
    const std::shared_ptr<Mailbox> mailbox_;
    Counters &counters_;
    Teller teller_;
    Registry registry_;
    Listener listener_;
    Follower follower_;
    TimePoint poll_at_ = TimePoint::max();
};

}  // namespace rill::detail
