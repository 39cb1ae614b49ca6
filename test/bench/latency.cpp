// latency KIND COUNT GAP_US SIZE: time from the call of an append until the chunk is delivered to a reader that was
// waiting for it. One thread appends, another follows, each with its own connection, in one process with one clock.
// Each append comes GAP_US to 2 x GAP_US after the previous chunk has arrived, so that the reader is waiting again.
// Prints two times per chunk in microseconds: until it arrived, and until the append returned. The first few chunks are
// a warm-up.
#include "rivals.hpp"

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <random>
#include <string>
#include <thread>

namespace bench {

namespace {

constexpr std::size_t kWarmUp = 50;
constexpr int kStream = 1;

void print(const char *name, const std::vector<double> &values, const char *end) {
    std::printf("\"%s\": [", name);
    for (std::size_t i = kWarmUp; i < values.size(); ++i)
        std::printf("%s%.1f", i == kWarmUp ? "" : ",", values[i]);
    std::printf("]%s", end);
}

}  // namespace

int latency(const Arguments &arguments) {
    if (arguments.size() != 4)
        throw std::runtime_error("usage: latency KIND COUNT GAP_US SIZE");
    const std::string &kind = arguments[0];
    const std::size_t count = std::stoul(arguments[1]) + kWarmUp;
    const double gap = std::stod(arguments[2]);
    const std::size_t size = std::stoul(arguments[3]);

    const auto writer = make_writer(kind);
    writer->append(kStream, payload(0, size));
    std::vector<Clock::time_point> sent(count), arrived(count);
    std::mutex mutex;
    std::condition_variable changed;
    std::size_t received = 0;
    bool ready = false;
    std::thread([&] {
        try {
            if (*reader_conninfo() != '\0')
                std::this_thread::sleep_for(
                    std::chrono::milliseconds(500));  // until a standby has the first chunk, too
            const auto follower = make_follower(kind, kStream);
            {
                const std::lock_guard lock(mutex);
                ready = true;
            }
            changed.notify_one();
            for (std::size_t i = 0; i < count; ++i) {
                const std::string_view data = follower->next();
                const auto now = Clock::now();
                if (number_of(data) != i)
                    throw std::runtime_error("chunk " + std::to_string(i) + " was expected, another one came");
                arrived[i] = now;
                {
                    const std::lock_guard lock(mutex);
                    received = i + 1;
                }
                changed.notify_one();
            }
            std::this_thread::sleep_for(std::chrono::hours(1));  // the process exits before the follower does
        } catch (const std::exception &error) {
            std::fprintf(stderr, "driver latency %s: %s\n", kind.c_str(), error.what());
            std::_Exit(1);
        }
    }).detach();

    std::minstd_rand random(1);
    std::uniform_real_distribution<double> gaps(gap, 2 * gap);
    const auto wait = [&](auto done) {
        std::unique_lock lock(mutex);
        if (!changed.wait_for(lock, std::chrono::minutes(1), done))
            throw std::runtime_error("the chunk did not arrive within a minute");
    };
    wait([&] { return ready; });
    std::vector<double> to_reader(count), to_writer(count);
    for (std::size_t i = 0; i < count; ++i) {
        std::this_thread::sleep_for(std::chrono::duration<double, std::micro>(gaps(random)));
        const std::string data = payload(i, size);
        sent[i] = Clock::now();
        writer->append(kStream, data);
        to_writer[i] = seconds_since(sent[i]) * 1e6;
        wait([&] { return received > i; });
        to_reader[i] = std::chrono::duration<double, std::micro>(arrived[i] - sent[i]).count();
    }
    std::printf("{");
    print("arrived", to_reader, ", ");
    print("returned", to_writer, "}\n");
    std::fflush(stdout);
    std::_Exit(0);  // a blocked follower would never end
}

}  // namespace bench
