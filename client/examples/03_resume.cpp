// Resumes where the last run stopped. With the epoch beside the id the server notices when its history was replaced
// meanwhile (by a promotion that lost chunks, or a restore): then next() throws RL003 instead of skipping or repeating.
// Usage: 03_resume CONNINFO STREAM CURSOR_FILE
#include <rill/rill.hpp>

#include <chrono>
#include <cstdint>
#include <fstream>
#include <iostream>

int main(int argc, char **argv) {
    if (argc != 4) {
        std::cerr << "usage: 03_resume CONNINFO STREAM CURSOR_FILE\n";
        return 2;
    }
    try {
        rill::Client client(argv[1]);
        std::int64_t id = 0;
        std::int32_t epoch = 0;
        std::ifstream saved(argv[3]);
        const bool known = static_cast<bool>(saved >> id >> epoch);

        auto reader = client.read(argv[2], known ? rill::after(id, epoch) : rill::from_start());
        while (const auto chunk = reader.next(std::chrono::seconds(5))) {
            std::cout << chunk->text() << std::flush;
            std::ofstream(argv[3], std::ios::trunc) << chunk->id << ' ' << chunk->epoch << '\n';
        }
        std::cerr << (reader.ended() ? "the stream has ended\n" : "nothing for five seconds\n");
        return 0;
    } catch (const rill::Error &error) {
        std::cerr << "example: " << error.what() << " (" << error.sqlstate() << ")\n";
        return 1;
    }
}
