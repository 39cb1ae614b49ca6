// See fork_guard.hpp.
#include "fork_guard.hpp"

#include "rill/error.hpp"

#include <atomic>
#include <mutex>
#include <new>

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

namespace rill::detail {
namespace {

struct Guards {
    std::mutex mutex;  // held across fork(), so that the child finds the list whole
    ForkGuard *first = nullptr;
    std::atomic<std::uint64_t> process{1};
};

bool is_socket(int fd, ino_t &inode) noexcept {
    struct stat info {};
    if (::fstat(fd, &info) != 0 || !S_ISSOCK(info.st_mode))
        return false;
    inode = info.st_ino;
    return true;
}

}  // namespace

struct ForkHandlers {
    static void prepare() noexcept { guards().mutex.lock(); }
    static void in_parent() noexcept { guards().mutex.unlock(); }
    static void in_child() noexcept {
        Guards &all = guards();
        all.process.fetch_add(1, std::memory_order_relaxed);
        for (ForkGuard *guard = all.first; guard != nullptr; guard = guard->next_) {
            ino_t inode = 0;
            if (is_socket(guard->fd_, inode) && inode == guard->inode_)
                ::close(guard->fd_);
        }
        all.first = nullptr;
        all.mutex.unlock();
    }

    // Never destroyed: connections may be closed while the process exits.
    static Guards &guards() noexcept {
        alignas(Guards) static unsigned char memory[sizeof(Guards)];
        static Guards *const the_guards = [] {
            auto *const made = new (memory) Guards;
            // Fails only without memory; then children have the sockets, too, until they end.
            (void) ::pthread_atfork(&prepare, &in_parent, &in_child);
            return made;
        }();
        return *the_guards;
    }
};

std::uint64_t process_number() noexcept { return ForkHandlers::guards().process.load(std::memory_order_relaxed); }

void throw_foreign() {
    throw Error("this rill client was made before fork(), by the parent process",
                {.sqlstate = "55000", .hint = "Make another Client after fork().", .kind = ErrorKind::usage});
}

ForkGuard::ForkGuard() noexcept {
    Guards &all = ForkHandlers::guards();
    const std::scoped_lock lock(all.mutex);
    next_ = all.first;
    if (next_ != nullptr)
        next_->previous_ = this;
    all.first = this;
}

ForkGuard::~ForkGuard() {
    Guards &all = ForkHandlers::guards();
    const std::scoped_lock lock(all.mutex);
    (previous_ == nullptr ? all.first : previous_->next_) = next_;
    if (next_ != nullptr)
        next_->previous_ = previous_;
}

void ForkGuard::note(int fd) noexcept {
    ino_t inode = 0;
    if (!is_socket(fd, inode))
        fd = -1;
    const std::scoped_lock lock(ForkHandlers::guards().mutex);
    fd_ = fd;
    inode_ = inode;
}

}  // namespace rill::detail
