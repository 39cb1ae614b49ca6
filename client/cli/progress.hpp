// A progress bar for a long copy. Shown only when standard error is a terminal, the total is known, and the copy takes
// longer than a second; erased at the end, also when an exception ends the copy.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

#include <unistd.h>

namespace rill::cli {

class Progress {
public:
    // A total of 0 is unknown.
    explicit Progress(std::uint64_t total) : total_(::isatty(STDERR_FILENO) != 0 ? total : 0) {}
    Progress(const Progress &) = delete;
    Progress &operator=(const Progress &) = delete;
    ~Progress() {
        if (shown_)
            std::fputs("\r\033[K", stderr);
    }

    void at(std::uint64_t done) {
        using namespace std::chrono;
        const auto now = steady_clock::now();
        if (total_ == 0 || now - last_ < milliseconds(200) || now - begin_ < seconds(1))
            return;
        last_ = now;
        shown_ = true;
        constexpr std::uint64_t width = 30;
        const std::uint64_t part = done < total_ ? done : total_;
        const auto filled = static_cast<std::size_t>(part * width / total_);
        const double rate = static_cast<double>(done) / duration<double>(now - begin_).count() / 1e6;
        std::fprintf(stderr, "\r[%s%s] %3u %%  %.1f MB/s ", std::string(filled, '#').c_str(),
                     std::string(width - filled, ' ').c_str(), static_cast<unsigned>(part * 100 / total_), rate);
        std::fflush(stderr);
    }

private:
    std::uint64_t total_;
    bool shown_ = false;
    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
    std::chrono::steady_clock::time_point last_ = begin_;
};

}  // namespace rill::cli
