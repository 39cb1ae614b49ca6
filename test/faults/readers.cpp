// See readers.hpp.
#include "readers.hpp"

#include <utility>

namespace faults {

namespace {

constexpr std::size_t kSpoilAt = 5;  // which chunk

}  // namespace

FollowedStream::FollowedStream(std::size_t stream_number, std::string stream, Kind kind, std::string name,
                               std::uint64_t seed)
    : stream_number_(stream_number), stream_(std::move(stream)), kind_(kind), random_(seed) {
    read_.name = std::move(name);
    read_.skipped = kind == Kind::skipping ? kSkipped : 0;
}

void FollowedStream::start(rill::Client &client, const std::function<void()> &ready) {
    reader_ = client.read(stream_, kind_ == Kind::skipping ? rill::skip(kSkipped) : rill::from_start());
    reader_->on_ready(ready);
}

void FollowedStream::take(rill::Client &client, const std::function<void()> &ready) {
    if (done_)
        return;
    try {
        while (const auto chunk = reader_->next(std::chrono::nanoseconds(0))) {
            note({chunk->id, std::string(chunk->text()), chunk->eof, Clock::now()});
            if (kind_ == Kind::resumed && random_() % 20 == 0) {
                reader_ = client.read(stream_, rill::after(reader_->position()));
                reader_->on_ready(ready);
            }
        }
        if (!reader_->ended())
            return;
        if (held_)
            read_.chunks.push_back(*std::exchange(held_, std::nullopt));
        read_.ended = spoil_ != Spoil::cut;
    } catch (const rill::Error &error) {
        read_.trouble = error.sqlstate() + " " + error.what();
    }
    reader_.reset();
    done_ = true;
}

void FollowedStream::note(Delivered chunk) {
    last_id_ = chunk.id;
    const bool here = spoil_ != Spoil::nothing && read_.chunks.size() + (held_ ? 1 : 0) == kSpoilAt;
    if (here && spoil_ == Spoil::drop) {
        spoil_ = Spoil::nothing;
        return;
    }
    if (here && spoil_ == Spoil::swap && !held_) {
        held_ = std::move(chunk);
        return;
    }
    if (here && spoil_ == Spoil::alter)
        chunk.data.back() = '?';
    read_.chunks.push_back(std::move(chunk));
    if (here && spoil_ == Spoil::repeat)
        read_.chunks.push_back(Delivered(read_.chunks.back()));
    if (held_) {
        read_.chunks.push_back(*std::exchange(held_, std::nullopt));
        spoil_ = Spoil::nothing;
    }
}

// Which readers have news. Shared with the callbacks, which may still run for a moment after their reader has stopped.
class ReadingClient::ReadyQueue {
public:
    void post(std::size_t reader) {
        const std::scoped_lock lock(mutex_);
        queue_.push_back(reader);
        changed_.notify_one();
    }
    void stop() {
        const std::scoped_lock lock(mutex_);
        stopped_ = true;
        changed_.notify_one();
    }
    std::optional<std::size_t> take() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return stopped_ || !queue_.empty(); });
        if (stopped_)
            return std::nullopt;
        const std::size_t reader = queue_.front();
        queue_.pop_front();
        return reader;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::size_t> queue_;
    bool stopped_ = false;
};

ReadingClient::ReadingClient(const std::string &conninfo, rill::Options options)
    : ready_(std::make_shared<ReadyQueue>()) {
    options.on_event = [counters = disconnected_](const rill::Event &event) {
        if (event.kind == rill::Event::Kind::disconnected)
            ++(*counters)[static_cast<std::size_t>(event.channel)];
    };
    client_.emplace(conninfo, std::move(options));
}

ReadingClient::~ReadingClient() { stop(); }

void ReadingClient::stop() {
    ready_->stop();
    if (thread_.joinable())
        thread_.join();
}

FollowedStream &ReadingClient::follow(std::unique_ptr<FollowedStream> stream) {
    streams_.push_back(std::move(stream));
    return *streams_.back();
}

void ReadingClient::run() {
    const auto post = [this](std::size_t i) { return [ready = ready_, i] { ready->post(i); }; };
    for (std::size_t i = 0; i < streams_.size(); ++i)
        streams_[i]->start(*client_, post(i));
    thread_ = std::thread([this, post] {
        while (const auto i = ready_->take())
            streams_[*i]->take(*client_, post(*i));
    });
}

}  // namespace faults
