// Standard input, output and error that the caller closed. The first socket of the process would get their number:
// what the command prints would go to the server. So each closed one is taken, by a file that can only be used in the
// other direction: reading or writing there fails with EBADF, as it does for cat.
#pragma once

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

namespace rill::cli {

// Call this before anything else is opened.
inline void occupy_standard_files() noexcept {
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        if (::fcntl(fd, F_GETFD) < 0 && errno == EBADF)  // open() takes the lowest free number, which is this one
            (void) ::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

}  // namespace rill::cli
