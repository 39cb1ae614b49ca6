// See stream_read.hpp.
#include "stream_read.hpp"

#include "failures.hpp"
#include "fields.hpp"
#include "touches.hpp"

#include <random>
#include <utility>

namespace rill::serve {

std::string cursor_for(const ReadPlan &plan) {
    static thread_local std::minstd_rand random{std::random_device{}()};
    return next_cursor(plan.client_cursor, std::chrono::system_clock::now(), static_cast<std::uint32_t>(random()));
}

StreamRead::StreamRead(ReadContext &context, ReadPlan plan, std::shared_ptr<Exchange> exchange)
    : context_(context), plan_(std::move(plan)), exchange_(std::move(exchange)) {
    context_.live.insert(this);
}

StreamRead::~StreamRead() { context_.live.erase(this); }

void StreamRead::start() {
    try {
        reader_.emplace(context_.client.read(plan_.stream, rill::after(plan_.from)));
    } catch (const Error &error) {
        return fail(failure(error));
    }
    // The exchange owns this read until it ends; nothing else needs to.
    exchange_->notify(
        [self = shared_from_this()] {
            if (!self->done())
                self->read();
        },
        [self = shared_from_this()] { self->finish(); });
    // It runs on librill's thread, perhaps after this read has gone.
    reader_->on_ready([&loop = context_.loop, weak = weak_from_this()] {
        loop.post([weak] {
            if (const auto self = weak.lock(); self != nullptr && !self->done())
                self->read();
        });
    });
    if (plan_.ttl)
        keep_stream();
}

std::optional<Chunk> StreamRead::next() {
    try {
        return reader_->next(std::chrono::nanoseconds(0));
    } catch (const Error &error) {
        fail(failure(error));
        return std::nullopt;
    }
}

void StreamRead::finish() {
    keeping_.reset();
    if (reader_)
        reader_->stop();
    context_.live.erase(this);
    if (const auto exchange = std::exchange(exchange_, nullptr))
        exchange->notify(nullptr, nullptr);
}

Timer StreamRead::after(std::chrono::milliseconds delay, std::function<void()> work) {
    return context_.loop.after(delay, [weak = weak_from_this(), work = std::move(work)] {
        if (const auto self = weak.lock(); self != nullptr && !self->done())
            work();
    });
}

// A stream that somebody follows is in use, however quiet it is.
void StreamRead::keep_stream() {
    keeping_ = after(keeping_interval(*plan_.ttl), [this] {
        context_.touch(plan_.stream, *plan_.ttl);
        keep_stream();
    });
}

}  // namespace rill::serve
