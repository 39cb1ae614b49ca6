// What an operator wants to know: connections that come and go, wake-ups that do not work, and what brought the chunks.
// Usage: 04_events_and_stats CONNINFO STREAM
#include <rill/rill.hpp>

#include <iostream>
#include <sstream>

namespace {

void print(const rill::Event &event) {  // on the background thread: must return soon
    using Kind = rill::Event::Kind;
    std::ostringstream line;
    line << (event.channel == rill::Event::Channel::listen ? "LISTEN " : "read ");
    switch (event.kind) {
    case Kind::connected:
        line << "connected";
        break;
    case Kind::disconnected:
        line << "lost: " << event.reason;
        break;
    case Kind::degraded:
        line << "not possible, polling instead: " << event.reason;
        break;
    case Kind::rescued_by_poll:
        line << event.chunks << " chunks of " << event.stream << " were found by the poll";
        break;
    }
    std::cerr << line.str() + "\n";
}

}  // namespace

int main(int argc, char **argv) {
    if (argc != 3) {
        std::cerr << "usage: 04_events_and_stats CONNINFO STREAM\n";
        return 2;
    }
    try {
        rill::Options options;
        options.poll_interval = std::chrono::seconds(2);
        options.on_event = print;
        rill::Client client(argv[1], options);
        auto reader = client.read(argv[2]);
        while (const auto chunk = reader.next())
            std::cout << chunk->text() << std::flush;
        const auto stats = client.stats();
        std::cerr << stats.chunks_caught_up << " caught up, " << stats.chunks_by_wait << " by waiting, "
                  << stats.chunks_by_notify << " by NOTIFY, " << stats.chunks_by_poll << " by poll; "
                  << stats.reconnects << " reconnects\n";
        return 0;
    } catch (const rill::Error &error) {
        std::cerr << "example: " << error.what() << '\n';
        return 1;
    }
}
