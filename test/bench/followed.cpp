// followed COUNT SAMPLES: one client follows COUNT streams, bench-1 to bench-COUNT, of which those up to COUNT/2 exist
// and hold one chunk; then SAMPLES of the missing ones are created by an append each. Prints
//   open      seconds from the first call of read() until every reader has caught up
//   bytes     memory of this process for each reader
//   poll_ms   milliseconds for which the client's sessions are on a CPU or ready to run, for each poll, while nothing
//             is appended
//   arrived   µs from the call of the append that creates a stream until its reader has the chunk, and
//   returned  until the append returned
// The server must run on this machine: the time of its sessions comes from /proc/PID/schedstat.
#include "driver.hpp"

#include <rill/rill.hpp>

#include <unistd.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>

namespace bench {

namespace {

constexpr int kPolls = 3;
constexpr auto kAtMost = std::chrono::minutes(2);

/// Set by the client's thread, awaited by the main one.
struct Progress {
    std::mutex mutex;
    std::condition_variable changed;
    std::size_t caught_up = 0;
    std::vector<Clock::time_point> arrived;

    template <typename Done>
    void wait(Done done, const char *what) {
        std::unique_lock lock(mutex);
        if (!changed.wait_for(lock, kAtMost, done))
            throw std::runtime_error(std::string(what) + ": not within two minutes");
    }
};

long resident_bytes() {
    long size = 0, resident = 0;
    std::ifstream("/proc/self/statm") >> size >> resident;
    return resident * sysconf(_SC_PAGESIZE);
}

/// Time on a CPU or waiting for one, of all the client's sessions, in ms.
double server_ms(Session &session) {
    const Result pids = session.execute("pids", std::vector<std::string>{});
    double total = 0;
    for (int i = 0; i < PQntuples(pids.get()); ++i) {
        double on_cpu = 0, ready = 0;
        if (!(std::ifstream("/proc/" + std::to_string(int64_at(pids.get(), i, 0)) + "/schedstat") >> on_cpu >> ready))
            throw std::runtime_error("/proc/PID/schedstat of a session cannot be read");
        total += (on_cpu + ready) / 1e6;
    }
    return total;
}

void await_polls(const rill::Client &client, std::uint64_t count) {
    const auto deadline = Clock::now() + kAtMost;
    while (client.stats().polls < count) {
        if (Clock::now() > deadline)
            throw std::runtime_error("the client does not poll");
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

void print(const char *name, const std::vector<double> &values) {
    std::printf(", \"%s\": [", name);
    for (std::size_t i = 0; i < values.size(); ++i)
        std::printf("%s%.1f", i == 0 ? "" : ",", values[i]);
    std::printf("]");
}

}  // namespace

int followed(const Arguments &arguments) {
    if (arguments.size() != 2)
        throw std::runtime_error("usage: followed COUNT SAMPLES");
    const std::size_t count = std::stoul(arguments[0]), samples = std::stoul(arguments[1]);
    std::vector<std::string> names;
    for (std::size_t i = 1; i <= count; ++i)
        names.push_back("bench-" + std::to_string(i));
    Session session;
    session.prepare("pids", "SELECT pid::bigint FROM pg_stat_activity WHERE application_name = 'followed'");
    session.prepare("append", "SELECT stream_append($1, $2)");

    const auto progress = std::make_shared<Progress>();
    progress->arrived.resize(count);
    rill::Client client("application_name=followed");
    std::vector<std::shared_ptr<rill::Reader>> readers;
    readers.reserve(count);
    const long before = resident_bytes();
    const auto start = Clock::now();
    for (std::size_t i = 0; i < count; ++i) {
        readers.push_back(std::make_shared<rill::Reader>(client.read(names[i], rill::from_start())));
        readers.back()->on_ready([progress, i, reader = readers.back().get(), seen = false]() mutable {
            bool came = false;
            while (reader->next(std::chrono::nanoseconds(0)))
                came = true;
            const auto now = Clock::now();
            const bool now_seen = reader->caught_up();
            const std::lock_guard lock(progress->mutex);
            if (came)
                progress->arrived[i] = now;
            if (now_seen && !seen) {
                seen = true;
                ++progress->caught_up;
            }
            progress->changed.notify_one();
        });
    }
    progress->wait([&] { return progress->caught_up == count; }, "catching up");
    const double open = seconds_since(start);
    const double bytes = static_cast<double>(resident_bytes() - before) / static_cast<double>(count);

    const std::uint64_t polls = client.stats().polls;
    await_polls(client, polls + 1);
    const double at_first = server_ms(session);
    await_polls(client, polls + 1 + kPolls);
    const double poll_ms = (server_ms(session) - at_first) / kPolls;

    std::vector<double> to_reader, to_writer;
    for (std::size_t i = count - samples; i < count; ++i) {
        const auto sent = Clock::now();
        session.execute("append", std::array{names[i], payload(i, 100)});
        to_writer.push_back(seconds_since(sent) * 1e6);
        progress->wait([&] { return progress->arrived[i] != Clock::time_point{}; }, "the first chunk of a new stream");
        to_reader.push_back(std::chrono::duration<double, std::micro>(progress->arrived[i] - sent).count());
    }
    std::printf("{\"open\": %.3f, \"bytes\": %.0f, \"poll_ms\": %.1f", open, bytes, poll_ms);
    print("arrived", to_reader);
    print("returned", to_writer);
    std::printf("}\n");
    client.close();
    return 0;
}

}  // namespace bench
