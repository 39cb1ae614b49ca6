// Cuts input into chunks: by lines, each with its newline, or by size. The chunks joined are the input. What follows
// the last cut is the tail: it becomes a chunk when more input completes it, or at the end of the input. Pure.
// Situations it must survive: input in any pieces, lines without end (the caller limits the tail), zero bytes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace rill::cli {

class Splitter {
public:
    // A size of 0 cuts by lines.
    explicit Splitter(std::size_t size = 0) : size_(size) {}

    // Calls chunk(std::string_view) for each chunk that `input` completes. The view is valid during that call.
    template <typename OnChunk>
    void feed(std::string_view input, OnChunk &&chunk) {
        while (!input.empty()) {
            const std::size_t length = cut(input);
            if (length == 0) {
                tail_.append(input);
                return;
            }
            if (tail_.empty()) {
                chunk(input.substr(0, length));
            } else {
                tail_.append(input.substr(0, length));
                chunk(std::string_view(tail_));
                tail_.clear();
            }
            input.remove_prefix(length);
        }
    }

    // At the end of the input the tail is a chunk, too.
    template <typename OnChunk>
    void finish(OnChunk &&chunk) {
        if (tail_.empty())
            return;
        chunk(std::string_view(tail_));
        tail_.clear();
    }

    [[nodiscard]] std::size_t tail() const noexcept { return tail_.size(); }

private:
    // How many bytes of `input` complete a chunk; 0 if it does not.
    [[nodiscard]] std::size_t cut(std::string_view input) const noexcept {
        if (size_ != 0) {
            const std::size_t missing = size_ - tail_.size();
            return input.size() >= missing ? missing : 0;
        }
        const std::size_t newline = input.find('\n');
        return newline == std::string_view::npos ? 0 : newline + 1;
    }

    std::size_t size_;
    std::string tail_;
};

}  // namespace rill::cli
