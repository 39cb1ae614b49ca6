// See writers.hpp.
#include "writers.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
#include <optional>
#include <utility>

namespace faults {

using namespace std::chrono_literals;

void WrittenStream::acknowledge(const std::vector<std::string> &chunks, std::int64_t last) {
    const auto now = Clock::now();
    const std::scoped_lock lock(mutex_);
    std::int64_t id = last - std::ssize(chunks);
    for (const auto &chunk : chunks)
        written_.acknowledged.push_back({++id, chunk, now});
    last_id_ = std::max(last_id_.load(), last);
    ++count_;
}

void WrittenStream::unknown(const std::vector<std::string> &chunks) {
    const std::scoped_lock lock(mutex_);
    written_.unknown.insert(chunks.begin(), chunks.end());
}

// One stream, as one thread appends to it.
struct Writers::Lane {
    WrittenStream *stream;
    bool exactly_once;
    bool closes;
    std::size_t number;  // among the stream's writers
    std::optional<rill::Producer> producer{};
    std::uint64_t appends = 0;
};

class Writers::Thread {
public:
    Thread(Writers &all, rill::Client &client, std::uint64_t seed) : all_(all), client_(client), random_(seed) {}

    void add(Lane lane) { lanes_.push_back(std::move(lane)); }
    void start() {
        thread_ = std::thread([this] { run(); });
    }
    void join() { thread_.join(); }

private:
    using Chunks = std::vector<std::string>;

    void run() {
        while (!all_.finishing_)
            for (Lane &lane : lanes_) {
                append(lane, random_() % 8 == 0 ? 3 : 1, false);
                std::this_thread::sleep_for(all_.pause_);
            }
        // Behind an EOF nothing is stored, so the streams' other writers have to be done.
        --all_.appending_;
        while (all_.appending_ > 0)
            std::this_thread::sleep_for(5ms);
        for (Lane &lane : lanes_)
            if (lane.closes)
                close(lane);
        --all_.running_;
    }

    // Half of the streams end with a chunk of data. Where the outcome of that is unknown, an empty EOF follows.
    void close(Lane &lane) {
        if (random_() % 2 == 0 && append(lane, 1, true))
            return;
        insist(lane, [&] {
            client_.close_stream(lane.stream->name());
            return true;
        });
    }

    // False if the outcome is unknown.
    bool append(Lane &lane, std::size_t count, bool eof) {
        Chunks chunks;
        for (std::size_t i = 0; i < count; ++i)
            chunks.push_back(payload(lane, i));
        ++lane.appends;
        return lane.exactly_once ? produce(lane, chunks, eof) : store(lane, chunks, eof);
    }

    std::string payload(const Lane &lane, std::size_t part) {
        std::string text = lane.stream->name() + "/" + std::to_string(lane.number) + "/" +
                           std::to_string(lane.appends) + "/" + std::to_string(part) + "/";
        text.append(random_() % 100 == 0 ? 20'000 : random_() % 200, 'x');
        return text + ".";
    }

    bool store(Lane &lane, const Chunks &chunks, bool eof) {
        return insist(lane, [&] {
            try {
                const auto &name = lane.stream->name();
                const rill::AppendOptions options{.eof = eof};
                lane.stream->acknowledge(chunks, chunks.size() == 1 ? client_.append(name, chunks[0], options)
                                                                    : *client_.append_many(name, chunks, options));
                return true;
            } catch (const rill::Error &error) {
                if (!error.outcome_unknown())
                    throw;
                lane.stream->unknown(chunks);
                ++all_.unknowns_;
                return false;
            }
        });
    }

    // Until it is known to be stored. A new epoch settles what became of an append of the one before.
    bool produce(Lane &lane, const Chunks &chunks, bool eof) {
        std::optional<rill::ProducerState> in_doubt;
        return insist(lane, [&] {
            if (!lane.producer)
                lane.producer.emplace(client_, lane.stream->name(), "producer");
            if (in_doubt) {
                lane.producer->restart();
                const auto &last = lane.producer->last();
                if (last && last->epoch == in_doubt->epoch && last->seq > in_doubt->seq) {
                    lane.stream->acknowledge(chunks, last->chunk_id.value());
                    return true;
                }
                in_doubt.reset();
            }
            const auto &last = lane.producer->last();
            const auto epoch = lane.producer->epoch();
            const rill::ProducerState before{.epoch = epoch, .seq = last && last->epoch == epoch ? last->seq : 0};
            try {
                lane.stream->acknowledge(chunks, *lane.producer->append_many(chunks, {.eof = eof}));
            } catch (const rill::Error &error) {
                if (error.outcome_unknown())
                    in_doubt = before;
                throw;
            }
            return true;
        });
    }

    // Repeats what had no effect. An error that is not of the connection is a trouble, but the writer goes on.
    bool insist(const Lane &lane, const std::function<bool()> &call) {
        for (;;) {
            try {
                return call();
            } catch (const rill::Error &error) {
                ++all_.retries_;
                // 57014: cancelled because its time was over.
                if (!error.connection_lost() && !error.retryable() && !error.outcome_unknown() &&
                    error.sqlstate() != "57014") {
                    const std::scoped_lock lock(all_.mutex_);
                    all_.troubles_.push_back(lane.stream->name() + ": " + error.sqlstate() + " " + error.what());
                }
            }
            std::this_thread::sleep_for(50ms);
        }
    }

    Writers &all_;
    rill::Client &client_;
    std::mt19937_64 random_;
    std::vector<Lane> lanes_;
    std::thread thread_;
};

Writers::Writers(const Plan &plan, std::vector<std::unique_ptr<WrittenStream>> &streams) : pause_(plan.pause) {
    for (const auto &conninfo : plan.conninfos)
        clients_.push_back(std::make_unique<rill::Client>(conninfo, plan.options));
    for (std::size_t i = 0; i < plan.threads; ++i)
        threads_.push_back(std::make_unique<Thread>(*this, *clients_[i % clients_.size()], plan.seed + i));
    for (std::size_t i = 0; i < streams.size(); ++i) {
        WrittenStream *const stream = streams[i].get();
        threads_[i % plan.threads]->add({.stream = stream, .exactly_once = i % 2 == 0, .closes = true, .number = 0});
        if (i % 4 == 3)  // a stream with two writers
            threads_[(i + 1) % plan.threads]->add(
                {.stream = stream, .exactly_once = false, .closes = false, .number = 1});
    }
}

Writers::~Writers() = default;

void Writers::run() {
    appending_ = running_ = threads_.size();
    for (auto &thread : threads_)
        thread->start();
}

void Writers::join() {
    for (auto &thread : threads_)
        thread->join();
}

std::vector<std::string> Writers::troubles() {
    const std::scoped_lock lock(mutex_);
    return troubles_;
}

}  // namespace faults
