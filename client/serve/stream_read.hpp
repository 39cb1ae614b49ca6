// What a page and an event stream have in common: the Reader, its wake-ups, its errors, the client's leaving, the time
// to live of a stream that is being read.
#pragma once

#include "reads.hpp"

#include <optional>
#include <string>

namespace rill::serve {

class StreamRead : public LiveRead, public std::enable_shared_from_this<StreamRead> {
public:
    StreamRead(ReadContext &context, ReadPlan plan, std::shared_ptr<Exchange> exchange);
    StreamRead(const StreamRead &) = delete;
    StreamRead &operator=(const StreamRead &) = delete;
    ~StreamRead() override;

    void start();

protected:
    // Reads what there is. Called when there may be more, and when everything written has left.
    virtual void read() = 0;
    // The Reader cannot go on.
    virtual void fail(const Response &response) = 0;

    // The next chunk that is there; nullopt when there is none, or the read has failed (then done() is true).
    [[nodiscard]] std::optional<Chunk> next();
    [[nodiscard]] bool caught_up() const { return reader_->caught_up(); }
    [[nodiscard]] bool ended() const { return reader_->ended(); }
    [[nodiscard]] bool done() const { return exchange_ == nullptr; }
    // Drops everything; the Exchange is to be finished before.
    void finish();
    // Runs `work` after the delay, unless the read is done.
    [[nodiscard]] Timer after(std::chrono::milliseconds delay, std::function<void()> work);

    ReadContext &context_;
    const ReadPlan plan_;
    std::shared_ptr<Exchange> exchange_;  // null when done

private:
    void keep_stream();

    std::optional<Reader> reader_;
    Timer keeping_;
};

}  // namespace rill::serve
