// Server-Sent Events: data events with what has come, each followed by a control event with the offset behind it.
//
// The offset of a control event is where a client resumes, so it never lies inside of what an event before it has shown
// only in part: text that ends within a character waits for the rest, at the offset before it. The head of the answer
// is sent with the first thing to say, so that an offset that cannot be right is an answer of its own, not a broken
// stream. A slow client: nothing is read for it while much has not left, and the Reader's bounded buffer fills.
#include "event_framing.hpp"
#include "json_messages.hpp"
#include "offset.hpp"
#include "stream_read.hpp"
#include "text_pieces.hpp"

#include <utility>

namespace rill::serve {
namespace {

constexpr std::size_t kBatchBytes = 64 * 1024;

class EventStream : public StreamRead {
public:
    using StreamRead::StreamRead;

    void set_timers() {
        lifetime_ = after(context_.options.events_for, [this] { end(); });
        tick();
    }

    // The client connects again with its last offset.
    void end() override {
        const auto self = shared_from_this();  // an answer that ends at once drops what owns this
        if (started_)
            exchange_->finish();
        else
            exchange_->send(Response{.status = 503}.with("Retry-After", "1"));
        finish();
    }

private:
    void read() override {
        while (exchange_->unsent() < context_.options.unsent_bytes) {
            const auto chunk = next();
            if (done())
                return;
            if (!chunk) {
                send_rest();
                return;
            }
            add(*chunk);
            if (batch_.size() >= kBatchBytes)
                send_batch(false);
        }
        // The rest is read when this has left.
        send_batch(false);
    }

    void fail(const Response &response) override {
        if (started_)
            exchange_->finish();  // it is told when it connects again
        else
            exchange_->send(response);
        finish();
    }

    void add(const Chunk &chunk) {
        last_ = {.id = chunk.id, .epoch = chunk.epoch};
        if (plan_.framing != Framing::json)
            batch_.append(chunk.text());
        else if (!chunk.data.empty())
            append_json_message(batch_, chunk.text());
        // Bytes that go on and on without ever being whole characters are no text.
        if (plan_.framing == Framing::text && unfinished_bytes(batch_) != 0 && batch_.size() - whole_ < kBatchBytes)
            return;
        whole_ = batch_.size();
        batch_end_ = last_;
    }

    // Nothing more is there.
    void send_rest() {
        if (ended()) {  // the rest of the last character never comes
            whole_ = batch_.size();
            batch_end_ = last_;
        }
        const bool up_to_date = ended() || (caught_up() && batch_.size() == whole_);
        const bool news = whole_ != 0 || ended() || (up_to_date && !told_up_to_date_);
        if (!news)
            return;
        send_batch(up_to_date);
        if (whole_ == 0 && !just_told_)
            send_control(up_to_date);
        if (ended()) {
            exchange_->finish();
            finish();
        }
    }

    void send_batch(bool up_to_date) {
        just_told_ = false;
        sent_ = batch_end_;  // behind chunks without data, too, which show nothing
        if (whole_ == 0)
            return;
        std::string payload = batch_.substr(0, whole_);
        batch_.erase(0, whole_);
        whole_ = 0;
        if (plan_.framing == Framing::json)
            payload += ']';
        else if (plan_.framing == Framing::text)
            payload = valid_utf8(payload);
        else
            payload = base64(payload);
        begin();
        exchange_->write(event("data", payload));
        ++context_.events_sent;
        send_control(up_to_date);
        just_told_ = true;
    }

    void send_control(bool up_to_date) {
        begin();
        const bool closed = ended();
        exchange_->write(control_event({.next_offset = encode_offset(sent_.value_or(plan_.from)),
                                        .cursor = closed ? "" : cursor_for(plan_),
                                        .up_to_date = up_to_date,
                                        .closed = closed}));
        told_up_to_date_ = up_to_date;
    }

    void begin() {
        if (std::exchange(started_, true))
            return;
        Response head;
        head.with("Content-Type", "text/event-stream")
            .with("Stream-Content-Type", plan_.content_type)  // outside the protocol: what the events carry
            .with("Cache-Control", "no-cache, no-transform")
            .with("X-Accel-Buffering", "no");
        if (plan_.framing == Framing::bytes)
            head.with("Stream-SSE-Data-Encoding", "base64");
        exchange_->start(std::move(head));
    }

    // Proxies close what is silent, and a client that has vanished without a word is noticed by writing to it.
    void tick() {
        tick_ = after(context_.options.keep_alive, [this] {
            if (started_ && exchange_->unsent() == 0)
                send_control(told_up_to_date_);
            tick();
        });
    }

    bool started_ = false;
    bool told_up_to_date_ = false;
    bool just_told_ = false;
    std::string batch_;
    std::size_t whole_ = 0;  // of batch_, up to batch_end_
    std::optional<Position> batch_end_;
    std::optional<Position> last_;  // of all chunks with data so far
    std::optional<Position> sent_;
    Timer lifetime_;
    Timer tick_;
};

}  // namespace

void follow_events(ReadContext &context, ReadPlan plan, std::shared_ptr<Exchange> exchange) {
    const auto read = std::make_shared<EventStream>(context, std::move(plan), std::move(exchange));
    read->set_timers();
    read->start();
}

}  // namespace rill::serve
