// Where one connection goes next: the listed hosts, their names looked up, in the order in which they are tried.
//
// libpq looks names up itself, but while it does nothing else happens in that thread, for half a minute when the name
// service is away; and without blocking it offers no way from an address that does not answer to the next. So a thread
// of its own does the look-up, and libpq gets addresses (beside the names, which TLS, Kerberos and the password file
// go by). Situations it must survive: a look-up that never ends (it is left behind, and waited for again in the next
// round), names without an address among others that have one, names that move, socket directories, addresses given.
// One thread at a time.
#pragma once

#include "conninfo.hpp"
#include "wake_fd.hpp"

#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace rill::detail {

class Route {
public:
    explicit Route(std::vector<Target> listed) : listed_(std::move(listed)) {}

    // A new round. Names are looked up again, unless the last look-up is still under way. Throws Error if that cannot
    // even start.
    void begin();
    // False: wait until fd() is readable.
    [[nodiscard]] bool known() const noexcept {
        return lookup_ == nullptr || lookup_->done.load(std::memory_order_acquire);
    }
    [[nodiscard]] int fd() const noexcept { return lookup_ == nullptr ? -1 : lookup_->wake.get(); }
    // Takes what was found; throws Error when no name has an address.
    void settle();
    // In the order to try them; empty when libpq is to make of the settings what it can.
    [[nodiscard]] const std::vector<Target> &targets() const noexcept { return targets_; }
    // This one has not answered: the next attempt, of this round or another, begins behind it. False when the round is
    // over.
    [[nodiscard]] bool pass_over(const Target &tried);

private:
    struct Lookup {
        std::vector<Target> targets;  // the thread's until done
        std::string trouble;
        std::atomic<bool> done{false};
        WakeFd wake;
        void run();
    };

    const std::vector<Target> listed_;
    std::vector<Target> targets_;
    Target behind_;
    std::size_t left_ = 0;
    std::shared_ptr<Lookup> lookup_;  // shared with its thread
};

}  // namespace rill::detail
