// Standard output by write(2): the bytes as they are, collected until flush(). Failed writes are reported at once. When
// the reader of a pipe has gone (`rill tail s | head`), the command ends quietly, like cat.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace rill::cli {

// The reader of our output has gone. Not worth a message.
struct BrokenPipe : std::runtime_error {
    BrokenPipe() : std::runtime_error("broken pipe") {}
};

class Output {
public:
    void write(std::string_view bytes) {
        buffer_.append(bytes);
        if (buffer_.size() >= kFull)
            flush();
    }
    void flush();

    // Throws BrokenPipe if the other end of the pipe was closed, without writing.
    static void check_reader();

private:
    static constexpr std::size_t kFull = 1 << 16;
    std::string buffer_;
};

// One line for standard error, with its newline. The message may hold any bytes, a file's name with a newline for
// example.
[[nodiscard]] std::string error_line(const std::string &message);
// Prints it there.
void print_error(const std::string &message);
// Prints text of our own there.
void print_raw_error(const std::string &text);

}  // namespace rill::cli
