// load KIND WRITERS SECONDS STREAMS SIZE: WRITERS threads append chunks of SIZE bytes to streams picked at random,
// each waiting for the result before its next one. Prints how many were stored in how many seconds.
#include "rivals.hpp"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <latch>
#include <random>
#include <string>
#include <thread>

namespace bench {

int load(const Arguments &arguments) {
    if (arguments.size() != 5)
        throw std::runtime_error("usage: load KIND WRITERS SECONDS STREAMS SIZE");
    const std::string &kind = arguments[0];
    const int writers = std::stoi(arguments[1]);
    const double seconds = std::stod(arguments[2]);
    const int streams = std::stoi(arguments[3]);
    const std::string data = payload(0, std::stoul(arguments[4]));

    std::latch connected(writers);
    std::atomic<bool> stop = false;
    std::atomic<long> stored = 0;
    std::vector<std::jthread> threads;
    for (int i = 0; i < writers; ++i)
        threads.emplace_back([&, i] {
            try {
                const auto writer = make_writer(kind);
                std::minstd_rand random(static_cast<unsigned>(i + 1));
                std::uniform_int_distribution<int> pick(1, streams);
                connected.arrive_and_wait();
                long mine = 0;
                for (; !stop; ++mine)
                    writer->append(pick(random), data);
                stored += mine;
            } catch (const std::exception &error) {
                std::fprintf(stderr, "driver load %s: %s\n", kind.c_str(), error.what());
                std::_Exit(1);
            }
        });
    connected.wait();
    const auto start = Clock::now();
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    stop = true;
    threads.clear();
    std::printf("{\"chunks\": %ld, \"seconds\": %.6f}\n", stored.load(), seconds_since(start));
    return 0;
}

}  // namespace bench
