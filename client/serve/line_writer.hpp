// Lines for standard error from threads that must not block: a bounded queue, and one thread that writes it.
//
// Whoever reads standard error (a terminal that is stopped, a pipe to a log collector, a full disk) may be slow or
// stop. Then the queue fills, and further lines are dropped and counted; a line says how many as soon as there is room
// again. Situations it must survive: a reader that never reads again (the end waits a second for it and no longer), one
// that has gone (SIGPIPE), a disk that is full for a while, a signal while it writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace rill::serve {

// Thread-safety: all members from any thread.
class LineWriter {
public:
    // Reports are few and say what is wrong: they have room of their own when traffic has filled the queue.
    enum class Kind { traffic, report };

    explicit LineWriter(int fd);
    LineWriter(const LineWriter &) = delete;
    LineWriter &operator=(const LineWriter &) = delete;
    // Waits up to a second until everything is written.
    ~LineWriter();

    // A line with its newline, of at most 4,096 bytes if it is to be written in one piece. Never blocks for the reader.
    void put(std::string line, Kind kind);
    // Lines that were dropped or could not be written, since the beginning.
    [[nodiscard]] std::uint64_t dropped() const;

private:
    struct State;
    // The thread has it, too: one that never returns from write() outlives this object.
    std::shared_ptr<State> state_;
};

}  // namespace rill::serve
