// Catch-up and long-poll: collects what there is behind the position, up to a page, and answers once.
#include "failures.hpp"
#include "fields.hpp"
#include "json_messages.hpp"
#include "offset.hpp"
#include "stream_read.hpp"

#include <utility>

namespace rill::serve {
namespace {

class PageRead : public StreamRead {
public:
    using StreamRead::StreamRead;

    void set_timeout() {
        const bool waits = plan_.mode == ReadPlan::Mode::long_poll;
        timeout_ = after(waits ? context_.options.long_poll : context_.options.page_timeout, [this] { give_up(); });
    }

    void end() override { give_up(); }

private:
    void read() override {
        bool full = false;
        while (const auto chunk = next()) {
            full = has_data_ && body_.size() + chunk->data.size() > context_.options.page_bytes;
            if (full)
                break;
            add(*chunk);
        }
        if (done())
            return;
        if (full)
            return answer(false, false);
        const bool up_to_date = caught_up() || ended();
        if (up_to_date && (has_data_ || ended() || plan_.mode == ReadPlan::Mode::page))
            answer(true, ended());
    }

    void fail(const Response &response) override {
        exchange_->send(response);
        finish();
    }

    void add(const Chunk &chunk) {
        position_ = {.id = chunk.id, .epoch = chunk.epoch};
        if (chunk.data.empty())
            return;
        has_data_ = true;
        if (plan_.framing == Framing::json)
            append_json_message(body_, chunk.text());
        else
            body_.append(chunk.text());
    }

    // The time is over. Data that is here is no less true for not being all.
    void give_up() {
        if (!has_data_ && !caught_up())
            return fail(unavailable("The database cannot be reached."));
        answer(caught_up(), false);
    }

    void answer(bool up_to_date, bool closed) {
        const bool waits = plan_.mode == ReadPlan::Mode::long_poll;
        const std::string next_offset = encode_offset(position_.value_or(plan_.from));
        Response response;
        response.with("Stream-Next-Offset", next_offset);
        if (up_to_date)
            response.with("Stream-Up-To-Date", "true");
        if (closed)
            response.with("Stream-Closed", "true");
        if (waits)
            response.with("Stream-Cursor", cursor_for(plan_));
        if (waits && !has_data_) {
            response.status = 204;
            response.with("Cache-Control", "no-store");
        } else {
            const std::string etag = "\"" + std::to_string(plan_.stream_id) + ":" + plan_.start_token + ":" +
                                     next_offset + (closed ? ":c\"" : "\"");
            if (plan_.start_token != "now")
                response.with("ETag", etag);
            // Behind the tail more may come at any moment; what a full page holds never changes.
            response.with("Cache-Control", "private, no-cache");
            if (!plan_.if_none_match.empty() && matches_tag(plan_.if_none_match, etag)) {
                response.status = 304;
            } else {
                response.with("Content-Type", plan_.content_type);
                if (plan_.framing == Framing::json)
                    body_ += body_.empty() ? "[]" : "]";
                response.body = std::move(body_);
            }
        }
        exchange_->send(std::move(response));
        finish();
    }

    std::string body_;
    bool has_data_ = false;
    std::optional<Position> position_;
    Timer timeout_;
};

}  // namespace

void read_page(ReadContext &context, ReadPlan plan, std::shared_ptr<Exchange> exchange) {
    const auto read = std::make_shared<PageRead>(context, std::move(plan), std::move(exchange));
    read->set_timeout();
    read->start();
}

}  // namespace rill::serve
