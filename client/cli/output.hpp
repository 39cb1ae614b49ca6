// Standard output, by write(2): bytes as they are, collected until flush(). Errors are seen and told, not left in a
// stream's flags; a reader that went away (`rill tail s | head`) ends the command quietly, as it ends cat.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace rill::cli {

// Nobody reads what we write. Not worth a message.
struct NobodyReads : std::runtime_error {
    NobodyReads() : std::runtime_error("broken pipe") {}
};

class Output {
public:
    void write(std::string_view bytes) {
        buffer_.append(bytes);
        if (buffer_.size() >= kFull)
            flush();
    }
    void flush();

    // Throws NobodyReads if a pipe's other end was closed: one notices without writing.
    static void check();

private:
    static constexpr std::size_t kFull = 1 << 16;
    std::string buffer_;
};

// One line on standard error.
void complain(const std::string &message);

}  // namespace rill::cli
