// After fork() the child has copies of everything, without the threads: mutexes may be locked forever, structures may
// be half changed, and the sockets are the parent's. Using any of them would harm the parent: even PQfinish() would end
// the parent's session with a Terminate message, or its TLS session.
//
// So in a child nothing that was made before the fork is touched. Sockets are closed by the fork itself, without a word
// to the server, so that a session ends when the parent ends, and not when the last child does. Objects know by
// process_number() that they are foreign; they are not destroyed but abandoned, and their memory stays allocated.
//
// Situations it must survive: fork() at any moment of any thread, a child that forks again, a socket that libpq
// replaces by another at the moment of the fork (a socket is closed only if it is still the one that was noted). A fork
// that runs no handlers (_Fork(), vfork(), clone()) may only be followed by exec. Thread-safety: as noted below.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include <sys/types.h>

namespace rill::detail {

// Another one in each process that descends from this by fork(). From any thread, and cheap.
[[nodiscard]] std::uint64_t process_number() noexcept;

// Throws the Error of using a foreign object.
[[noreturn]] void throw_foreign();

// Never destroys what the pointer shares.
template <typename Object>
void abandon(std::shared_ptr<Object> object) noexcept {
    union Kept {
        std::shared_ptr<Object> pointer;
        explicit Kept(std::shared_ptr<Object> &&from) noexcept : pointer(std::move(from)) {}
        Kept(const Kept &) = delete;
        Kept &operator=(const Kept &) = delete;
        ~Kept() {}  // NOLINT(modernize-use-equals-default): it would be deleted
    };
    [[maybe_unused]] const Kept kept(std::move(object));
}

// Notes a connection's socket, for the children. Stays where it is. note() by one thread at a time.
class ForkGuard {
public:
    ForkGuard() noexcept;
    ForkGuard(const ForkGuard &) = delete;
    ForkGuard &operator=(const ForkGuard &) = delete;
    ~ForkGuard();

    // The connection now has this socket, or none if it is negative.
    void note(int fd) noexcept;

private:
    friend struct ForkHandlers;

    // All protected by the mutex of the list.
    ForkGuard *next_ = nullptr;
    ForkGuard *previous_ = nullptr;
    int fd_ = -1;
    ino_t inode_ = 0;
};

}  // namespace rill::detail
