// Follows all streams named on the command line on one thread, by on_ready().
// Usage: 02_follow_many CONNINFO STREAM...
#include <rill/rill.hpp>

#include <condition_variable>
#include <deque>
#include <iostream>
#include <memory>
#include <mutex>
#include <vector>

namespace {

// The readers that have something to read, posted by the background thread. Shared, because a callback may still run
// for a moment after its reader has stopped.
struct Ready {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::size_t> readers;
};

}  // namespace

int main(int argc, char **argv) {
    try {
        rill::Client client(argc > 1 ? argv[1] : "");
        const auto ready = std::make_shared<Ready>();
        std::vector<rill::Reader> readers;
        for (int i = 2; i < argc; ++i) {
            const std::size_t index = readers.size();
            readers.push_back(client.read(argv[i], rill::only_new()));
            readers.back().on_ready([ready, index] {
                const std::scoped_lock lock(ready->mutex);
                ready->readers.push_back(index);
                ready->changed.notify_one();
            });
        }
        for (std::size_t ended = 0; ended < readers.size();) {
            std::unique_lock lock(ready->mutex);
            ready->changed.wait(lock, [&] { return !ready->readers.empty(); });
            rill::Reader &reader = readers[ready->readers.front()];
            ready->readers.pop_front();
            lock.unlock();
            const bool had_ended = reader.ended();
            while (const auto chunk = reader.next(std::chrono::nanoseconds(0)))
                std::cout << reader.stream() << ' ' << chunk->id << ' ' << chunk->text() << std::endl;
            if (!had_ended && reader.ended())
                ++ended;
        }
        return 0;
    } catch (const rill::Error &error) {
        std::cerr << "example: " << error.what() << '\n';
        return 1;
    }
}
