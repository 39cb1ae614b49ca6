// A file descriptor that any thread can make readable, to end a poll(2) in another thread. An eventfd: signals that
// come before the poll add up to one, and none is lost.
// Thread-safety: signal() from any thread, clear() by the thread that polls.
#pragma once

#include "rill/error.hpp"

#include <cerrno>
#include <system_error>

#include <sys/eventfd.h>
#include <unistd.h>

namespace rill::detail {

class WakeFd {
public:
    WakeFd() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
        if (fd_ < 0)
            throw Error("could not create an eventfd: " + std::generic_category().message(errno),
                        {.sqlstate = "53000", .retryable = true});
    }
    WakeFd(const WakeFd &) = delete;
    WakeFd &operator=(const WakeFd &) = delete;
    ~WakeFd() { ::close(fd_); }

    void signal() const noexcept { (void) ::eventfd_write(fd_, 1); }

    void clear() const noexcept {
        eventfd_t value = 0;
        (void) ::eventfd_read(fd_, &value);
    }

    [[nodiscard]] int get() const noexcept { return fd_; }

private:
    int fd_;
};

}  // namespace rill::detail
