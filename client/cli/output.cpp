// See output.hpp.
#include "output.hpp"

#include "terminal_text.hpp"

#include <cerrno>
#include <cstdio>
#include <system_error>

#include <poll.h>
#include <unistd.h>

namespace rill::cli {

void Output::flush() {
    std::string_view rest = buffer_;
    while (!rest.empty()) {
        const ssize_t written = ::write(STDOUT_FILENO, rest.data(), rest.size());
        if (written >= 0) {
            rest.remove_prefix(static_cast<std::size_t>(written));
        } else if (errno == EAGAIN) {
            pollfd fd{STDOUT_FILENO, POLLOUT, 0};
            (void) ::poll(&fd, 1, -1);
        } else if (errno != EINTR) {
            const int error = errno;
            buffer_.clear();
            if (error == EPIPE)
                throw BrokenPipe();
            throw std::system_error(error, std::generic_category(), "cannot write to standard output");
        }
    }
    buffer_.clear();
}

void Output::check_reader() {
    pollfd fd{STDOUT_FILENO, 0, 0};
    if (::poll(&fd, 1, 0) > 0 && (fd.revents & POLLERR) != 0)
        throw BrokenPipe();
}

std::string error_line(const std::string &message) { return "rill: " + printable(message) + "\n"; }

void print_error(const std::string &message) { print_raw_error(error_line(message)); }

void print_raw_error(const std::string &text) { std::fwrite(text.data(), 1, text.size(), stderr); }

}  // namespace rill::cli
