// A progress bar for a long copy. Shown only when standard error is a terminal that can erase a line, the total is
// known, and the copy takes longer than a second; erased at the end, also when an exception ends the copy.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include <sys/ioctl.h>
#include <unistd.h>

namespace rill::cli {

// The bar as text of less than `columns` columns: a full line would wrap, and could not be drawn over. Pure.
[[nodiscard]] inline std::string progress_text(std::uint64_t done, std::uint64_t total, double megabytes_per_second,
                                               std::size_t columns) {
    const std::uint64_t part = std::min(done, total);
    const double share = static_cast<double>(part) / static_cast<double>(total);
    std::array<char, 64> numbers{};
    std::snprintf(numbers.data(), numbers.size(), "%3.0f %%  %.1f MB/s ", share * 100, megabytes_per_second);
    std::string text = numbers.data();
    constexpr std::size_t longest = 30;
    if (columns > text.size() + 8) {
        const std::size_t width = std::min(longest, columns - text.size() - 4);
        const auto filled = static_cast<std::size_t>(share * static_cast<double>(width));
        text.insert(0, "[" + std::string(filled, '#') + std::string(width - filled, ' ') + "] ");
    }
    if (text.size() >= columns)
        text.resize(columns > 0 ? columns - 1 : 0);
    return text;
}

class Progress {
public:
    // A total of 0 is unknown.
    explicit Progress(std::uint64_t total) : total_(can_show() ? total : 0) {}
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
        const double rate = static_cast<double>(done) / duration<double>(now - begin_).count() / 1e6;
        std::fprintf(stderr, "\r%s\033[K", progress_text(done, total_, rate, columns()).c_str());
        std::fflush(stderr);
    }

private:
    static bool can_show() {
        const char *const term = std::getenv("TERM");
        return ::isatty(STDERR_FILENO) != 0 && term != nullptr && std::string_view(term) != "dumb";
    }

    // Of the terminal, which may have changed since the last time.
    static std::size_t columns() {
        winsize size{};
        return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
    }

    std::uint64_t total_;
    bool shown_ = false;
    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
    std::chrono::steady_clock::time_point last_ = begin_;
};

}  // namespace rill::cli
