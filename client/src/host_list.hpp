// The hosts that one connection tries: the listed ones with their names resolved, in the order of the attempts.
//
// libpq resolves names itself, but blocks its thread meanwhile, for half a minute when the name service is down; and
// its non-blocking connect offers no way from an address that does not answer to the next. So names are resolved by a
// thread of their own, and libpq is given addresses (beside the names, which TLS, Kerberos and the password file need).
//
// Situations it must survive: a look-up that does not end (it is left running, and the next round waits for it again),
// names without an address among others that have one, names whose addresses change, socket directories, addresses in
// place of names. Thread-safety: one thread at a time.
#pragma once

#include "conninfo.hpp"
#include "wake_fd.hpp"

#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace rill::detail {

class HostList {
public:
    explicit HostList(std::vector<Host> listed) : listed_(std::move(listed)) {}

    // Starts a round of attempts. Names are resolved again, unless the last look-up still runs. Throws Error if the
    // thread for it cannot be started.
    void begin();
    // False: wait until fd() is readable.
    [[nodiscard]] bool resolved() const noexcept {
        return lookup_ == nullptr || lookup_->done.load(std::memory_order_acquire);
    }
    [[nodiscard]] int fd() const noexcept { return lookup_ == nullptr ? -1 : lookup_->wake.get(); }
    // Takes the result of the look-up, once resolved(). Throws Error when no name has an address.
    void finish();

    // In the order in which to try them. Empty: leave it to libpq what the parameters mean.
    [[nodiscard]] const std::vector<Host> &hosts() const noexcept { return hosts_; }
    // `tried` did not answer: the next attempt, of this round or a later one, begins behind it. False when all hosts of
    // this round have been tried.
    [[nodiscard]] bool skip(const Host &tried);

private:
    struct Lookup {
        std::vector<Host> hosts;  // the look-up thread's until `done`
        std::string failure;
        std::atomic<bool> done{false};
        WakeFd wake;
        void run();
    };

    const std::vector<Host> listed_;
    std::vector<Host> hosts_;
    Host skipped_;
    std::size_t left_ = 0;            // hosts of this round that have not been skipped
    std::shared_ptr<Lookup> lookup_;  // shared with its thread
};

}  // namespace rill::detail
