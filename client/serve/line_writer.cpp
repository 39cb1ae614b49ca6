// See line_writer.hpp.
#include "line_writer.hpp"

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>

#include <poll.h>
#include <unistd.h>

namespace rill::serve {
namespace {

constexpr std::size_t kTrafficBytes = std::size_t{1} * 1024 * 1024;
constexpr std::size_t kReportBytes = std::size_t{64} * 1024;  // beyond those
constexpr std::size_t kPieceBytes = 4096;                     // PIPE_BUF: other writers' lines do not come in between

// How much of it was written.
std::size_t write_all(int fd, std::string_view text) {
    std::size_t written = 0;
    while (written < text.size()) {
        const ssize_t size = ::write(fd, text.data() + written, text.size() - written);
        if (size >= 0) {
            written += static_cast<std::size_t>(size);
        } else if (errno == EAGAIN) {  // whoever shares the file has made it non-blocking
            pollfd waiting{fd, POLLOUT, 0};
            (void) ::poll(&waiting, 1, -1);
        } else if (errno != EINTR) {
            break;
        }
    }
    return written;
}

}  // namespace

struct LineWriter::State {
    explicit State(int to) : fd(to) {}

    void run();

    const int fd;
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::string> queue;
    std::size_t bytes = 0;  // of the queue
    std::uint64_t dropped = 0;
    std::uint64_t told = 0;  // of the dropped ones, those that a line has told of
    bool torn = false;       // the last write ended within a line
    bool ending = false;
    bool finished = false;
};

// With the mutex held, but for the time of the write.
void LineWriter::State::run() {
    std::unique_lock lock(mutex);
    for (;;) {
        changed.wait(lock, [this] { return ending || !queue.empty() || dropped != told; });
        if (queue.empty() && dropped == told)
            break;
        std::string piece;
        std::uint64_t lines = 0;
        const std::uint64_t all_dropped = dropped;
        if (dropped != told)
            piece = "rill: lines dropped because standard error did not take them: " + std::to_string(dropped - told) +
                    "\n";
        while (!queue.empty() && (piece.empty() || piece.size() + queue.front().size() <= kPieceBytes)) {
            bytes -= queue.front().size();
            piece += queue.front();
            queue.pop_front();
            ++lines;
        }
        lock.unlock();
        if (torn)
            piece.insert(piece.begin(), '\n');
        const std::size_t written = write_all(fd, piece);
        lock.lock();
        if (written != 0)
            torn = written < piece.size() && piece[written - 1] != '\n';
        if (written == piece.size()) {
            told = all_dropped;
        } else {
            dropped += lines;
            // Whatever is wrong, a disk that is full for example, may be over later.
            if (changed.wait_for(lock, std::chrono::seconds(1), [this] { return ending; }))
                break;
        }
    }
    finished = true;
    changed.notify_all();
}

LineWriter::LineWriter(int fd) : state_(std::make_shared<State>(fd)) {
    // The thread takes no signals: they are the loop's. SIGPIPE stays pending for it, and write() fails.
    sigset_t all{};
    sigset_t before{};
    sigfillset(&all);
    (void) pthread_sigmask(SIG_BLOCK, &all, &before);
    std::thread([state = state_] { state->run(); }).detach();
    (void) pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

LineWriter::~LineWriter() {
    std::unique_lock lock(state_->mutex);
    state_->ending = true;
    state_->changed.notify_all();
    (void) state_->changed.wait_for(lock, std::chrono::seconds(1), [this] { return state_->finished; });
}

void LineWriter::put(std::string line, Kind kind) {
    const std::scoped_lock lock(state_->mutex);
    const std::size_t room = kTrafficBytes + (kind == Kind::report ? kReportBytes : 0);
    if (state_->bytes + line.size() > room) {
        ++state_->dropped;
        return;  // the thread is busy, or waits, and tells of it afterwards
    }
    state_->bytes += line.size();
    state_->queue.push_back(std::move(line));
    if (state_->queue.size() == 1)
        state_->changed.notify_all();
}

std::uint64_t LineWriter::dropped() const {
    const std::scoped_lock lock(state_->mutex);
    return state_->dropped;
}

}  // namespace rill::serve
