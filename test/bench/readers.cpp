// readers KIND COUNT FIRST STREAMS: keeps COUNT readers waiting and prints "ready". At the end of its input it prints
// how much they read and exits. Reader i follows stream FIRST + i % STREAMS.
//   sessions  each is a session in stream_wait, which waits again as soon as it returns
//   client    all are readers of one librill client
#include "rivals.hpp"

#include <rill/rill.hpp>

#include <poll.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>

namespace bench {

namespace {

// If the client just disappeared, its backend would continue to wait and keep its connection slot.
void cancel(Session &session) {
    const std::unique_ptr<PGcancel, decltype(&PQfreeCancel)> request(PQgetCancel(session.raw()), PQfreeCancel);
    std::array<char, 256> error;
    PQcancel(request.get(), error.data(), static_cast<int>(error.size()));
    while (PGresult *result = PQgetResult(session.raw()))
        PQclear(result);
}

bool input_ended() {
    std::array<char, 64> buffer;
    return read(STDIN_FILENO, buffer.data(), buffer.size()) <= 0;
}

void say_ready() {
    std::puts("ready");
    std::fflush(stdout);
}

long sessions(int count, int first, int streams) {
    std::vector<std::unique_ptr<Session>> waiting;
    std::vector<pollfd> sockets;
    std::vector<std::string> names;
    const auto wait_again = [&](std::size_t i, std::int64_t cursor) {
        waiting[i]->send("wait", std::array<std::string, 2>{names[i], std::to_string(cursor)});
        if (PQflush(waiting[i]->raw()) != 0)
            throw std::runtime_error("a request could not be sent");
    };
    for (int i = 0; i < count; ++i) {
        names.push_back(stream_name(first + i % streams));
        waiting.push_back(std::make_unique<Session>());
        Session &session = *waiting.back();
        session.prepare("wait", "SELECT stream_wait($1, $2, '1 hour')");
        session.prepare("head", "SELECT stream_head($1)");
        sockets.push_back({PQsocket(session.raw()), POLLIN, 0});
        wait_again(waiting.size() - 1, int64_at(session.execute("head", std::array{names.back()}).get(), 0, 0));
    }
    sockets.push_back({STDIN_FILENO, POLLIN, 0});
    say_ready();
    long got = 0;
    for (;;) {
        if (poll(sockets.data(), sockets.size(), -1) < 0)
            throw std::runtime_error("poll failed");
        if (sockets.back().revents != 0 && input_ended()) {
            for (const auto &session : waiting)
                cancel(*session);
            return got;
        }
        for (std::size_t i = 0; i < waiting.size(); ++i) {
            if (sockets[i].revents == 0)
                continue;
            if (PQconsumeInput(waiting[i]->raw()) == 0)
                throw std::runtime_error("a waiting session was lost");
            if (PQisBusy(waiting[i]->raw()) != 0)
                continue;
            const Result result = waiting[i]->receive();
            waiting[i]->receive();
            ++got;
            wait_again(i, int64_at(result.get(), 0, 0));
        }
    }
}

long client(int count, int first, int streams) {
    std::atomic<long> got = 0;
    // The starting points come from a session of their own, since the client's queries are being counted.
    std::vector<rill::Position> positions;
    {
        Session session;
        session.prepare("heads",
                        "SELECT stream_head('bench-' || i) FROM generate_series($1::int, $2::int) i ORDER BY i");
        const Result heads =
            session.execute("heads", std::array{std::to_string(first), std::to_string(first + streams - 1)});
        for (int i = 0; i < PQntuples(heads.get()); ++i)
            positions.push_back({int64_at(heads.get(), i, 0), std::nullopt});
    }
    rill::Client client;
    std::vector<std::shared_ptr<rill::Reader>> readers;
    for (int i = 0; i < count; ++i)
        readers.push_back(std::make_shared<rill::Reader>(client.read(
            stream_name(first + i % streams), rill::after(positions[static_cast<std::size_t>(i % streams)]))));
    for (const auto &reader : readers)
        reader->on_ready([&got, reader] {
            while (reader->next(std::chrono::nanoseconds(0)))
                ++got;
        });
    say_ready();
    while (!input_ended())
        continue;
    client.close();
    return got;
}

}  // namespace

int readers(const Arguments &arguments) {
    if (arguments.size() != 4 || (arguments[0] != "sessions" && arguments[0] != "client"))
        throw std::runtime_error("usage: readers sessions|client COUNT FIRST STREAMS");
    const auto follow = arguments[0] == "client" ? client : sessions;
    const long got = follow(std::stoi(arguments[1]), std::stoi(arguments[2]), std::stoi(arguments[3]));
    std::printf("{\"got\": %ld}\n", got);
    return 0;
}

}  // namespace bench
