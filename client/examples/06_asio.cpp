// Follows streams in an Asio event loop: on_ready() posts to the loop, and the loop's one thread reads. Ctrl-C is a
// signal to the loop like any other. Built where Boost.Asio or Asio is installed (Debian: libboost-dev or libasio-dev).
// Usage: 06_asio CONNINFO STREAM...
#include <rill/rill.hpp>

#if __has_include(<boost/asio.hpp>)
#include <boost/asio.hpp>
namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;
#else
#include <asio.hpp>
using ErrorCode = asio::error_code;
#endif

#include <chrono>
#include <csignal>
#include <iostream>
#include <memory>
#include <utility>
#include <vector>

namespace {

// One stream, in the loop's thread. It reads what there is, a little at a time, and leaves when there is nothing.
class Follower : public std::enable_shared_from_this<Follower> {
public:
    Follower(asio::io_context &loop, rill::Reader reader) : loop_(loop), reader_(std::move(reader)) {}

    void start() {
        // The callback must not block, and may run for a moment after the reader has stopped: it owns what it uses.
        reader_.on_ready([&loop = loop_, self = weak_from_this()] {
            asio::post(loop, [self] {
                if (const auto follower = self.lock())
                    follower->read();
            });
        });
    }
    void stop() { reader_.stop(); }

private:
    void read() {
        for (int turn = 0; turn < 100; ++turn) {
            const auto chunk = reader_.next(std::chrono::nanoseconds(0));
            if (!chunk) {
                if (reader_.ended())
                    std::cout << reader_.stream() << " has ended" << std::endl;
                return;  // on_ready() tells when there is more
            }
            std::cout << reader_.stream() << ' ' << chunk->id << ' ' << chunk->text() << std::endl;
        }
        // There may be more, which is not announced a second time: other work of the loop goes first.
        asio::post(loop_, [self = shared_from_this()] { self->read(); });
    }

    asio::io_context &loop_;
    rill::Reader reader_;
};

}  // namespace

int main(int argc, char **argv) {
    try {
        // In this order: when the client is gone, no callback can reach the loop any more.
        asio::io_context loop;
        rill::Client client(argc > 1 ? argv[1] : "");
        std::vector<std::shared_ptr<Follower>> followers;
        for (int i = 2; i < argc; ++i) {
            followers.push_back(std::make_shared<Follower>(loop, client.read(argv[i])));
            followers.back()->start();
        }
        asio::signal_set signals(loop, SIGINT, SIGTERM);
        signals.async_wait([&](const ErrorCode &, int) { loop.stop(); });
        loop.run();
        return 0;
    } catch (const rill::Error &error) {
        std::cerr << "example: " << error.what() << '\n';
        return 1;
    }
}
