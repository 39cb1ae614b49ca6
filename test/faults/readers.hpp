// The reading half of the fault test: one librill client, with a thread that takes the chunks of all of its readers
// when on_ready() says so.
//
// It polls nothing by itself: a chunk that librill has but does not announce stays where it is, and is found lost.
// Situations it must survive: those of the client. An exception from next() ends that reader, and is in the verdict.
// Thread-safety: all methods by the thread that made it; last_id() and done() of a reader from any thread.
#pragma once

#include "checker.hpp"

#include "rill/rill.hpp"

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace faults {

// What the test does to one reader to see that the checker finds it.
enum class Spoil { nothing, drop, repeat, swap, alter, cut };

class FollowedStream {
public:
    enum class Kind {
        plain,    // from the start, with one Reader
        resumed,  // dropped now and then, and continued with another Reader
        skipping  // skip(kSkipped), from before the first chunk is there
    };
    static constexpr std::size_t kSkipped = 3;

    FollowedStream(std::size_t stream_number, std::string stream, Kind kind, std::string name, std::uint64_t seed);

    // Takes what is there. `ready` is the callback of a Reader that continues.
    void take(rill::Client &client, const std::function<void()> &ready);
    void start(rill::Client &client, const std::function<void()> &ready);
    void spoil(Spoil how) { spoil_ = how; }

    [[nodiscard]] std::size_t stream_number() const { return stream_number_; }
    [[nodiscard]] std::int64_t last_id() const { return last_id_; }
    [[nodiscard]] bool done() const { return done_; }
    // When done(), or when its client's thread has ended.
    [[nodiscard]] const Read &read() const { return read_; }

private:
    void note(Delivered chunk);

    std::size_t stream_number_;
    std::string stream_;
    Kind kind_;
    Spoil spoil_ = Spoil::nothing;
    std::mt19937_64 random_;
    Read read_;
    std::optional<rill::Reader> reader_;
    std::optional<Delivered> held_;  // for Spoil::swap
    std::atomic<std::int64_t> last_id_{0};
    std::atomic<bool> done_{false};
};

class ReadingClient {
public:
    ReadingClient(const std::string &conninfo, rill::Options options);
    ReadingClient(const ReadingClient &) = delete;
    ReadingClient &operator=(const ReadingClient &) = delete;
    // Ends the thread; read() of all readers is then complete.
    ~ReadingClient();

    FollowedStream &follow(std::unique_ptr<FollowedStream> stream);
    void run();
    void stop();

    [[nodiscard]] rill::Stats stats() const { return client_->stats(); }
    // How many connections were lost, or could not be made.
    [[nodiscard]] std::uint64_t disconnected(rill::Event::Channel channel) const {
        return (*disconnected_)[static_cast<std::size_t>(channel)];
    }
    [[nodiscard]] const std::vector<std::unique_ptr<FollowedStream>> &streams() const { return streams_; }

private:
    class ReadyQueue;

    using Counters = std::array<std::atomic<std::uint64_t>, 2>;
    std::shared_ptr<Counters> disconnected_ = std::make_shared<Counters>();
    std::shared_ptr<ReadyQueue> ready_;
    std::optional<rill::Client> client_;
    std::vector<std::unique_ptr<FollowedStream>> streams_;
    std::thread thread_;
};

}  // namespace faults
