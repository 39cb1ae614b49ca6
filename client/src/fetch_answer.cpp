// See fetch_answer.hpp.
#include "fetch_answer.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

namespace rill::detail {
namespace {

// The columns of stream_fetch.
enum Column : int { kEntry, kStreamId, kPage, kMore, kSqlstate, kMessage, kColumns };

Counters::Count &counter_for(Counters &counters, std::uint8_t reasons) {
    if ((reasons & kCatchUp) != 0)
        return counters.chunks_caught_up;
    if ((reasons & kWait) != 0)
        return counters.chunks_by_wait;
    return (reasons & kNotify) != 0 ? counters.chunks_by_notify : counters.chunks_by_poll;
}

Page copy_page(std::span<const std::byte> bytes, std::uint64_t chunks) {
    auto copy = std::make_shared<std::byte[]>(bytes.size());
    std::memcpy(copy.get(), bytes.data(), bytes.size());
    return {std::move(copy), bytes.size(), chunks};
}

}  // namespace

void fail_reader(Registry &registry, Counters &counters, Subscription &subscription, const Error &error) {
    registry.remove(subscription);
    subscription.fail(error);
    subscription.notify_ready(counters.callback_errors);
}

void FetchAnswer::apply(const Result &rows) {
    if (rows.columns() != kColumns)
        throw unexpected_answer("stream_fetch has other columns");
    // The pages of one stream are rows that follow each other.
    for (int row = 0, end = 0; row < rows.rows(); row = end) {
        while (end < rows.rows() && rows.int4(end, kEntry) == rows.int4(row, kEntry))
            ++end;
        apply_stream(rows, row, end);
    }
    if (batch_.verify && std::ranges::any_of(batch_.entries, [](const auto &entry) { return !entry.answered; }))
        throw unexpected_answer("stream_fetch did not verify a cursor");
    finish_rest();
}

void FetchAnswer::apply_stream(const Result &rows, int row, int end) {
    const std::int32_t n = rows.int4(row, kEntry);
    if (n < 1 || static_cast<std::size_t>(n) > batch_.entries.size() ||
        std::exchange(batch_.entries[static_cast<std::size_t>(n) - 1].answered, true))
        throw unexpected_answer("a row of stream_fetch belongs to no stream");
    const Batch::Entry &entry = batch_.entries[static_cast<std::size_t>(n) - 1];
    batch_.each_waiter(entry, [&](Subscription &reader) {
        if (reader.state.registered())
            registry_.set_id(*reader.state.stream(), rows.null(row, kStreamId) ? 0 : rows.int8(row, kStreamId));
    });
    const bool more = rows.boolean(end - 1, kMore);
    if (!rows.null(row, kSqlstate)) {
        apply_error(entry,
                    Error(std::string(rows.text(row, kMessage)), {.sqlstate = std::string(rows.text(row, kSqlstate))}));
    } else if (!rows.null(row, kPage)) {
        if (const auto pages = read_pages(rows, row, end, entry.from.id)) {
            apply_pages(entry, *pages, more);
        } else {
            const Error error = unexpected_answer("a page of chunks is malformed");
            batch_.each_waiter(entry, [&](Subscription &reader) { fail_reader(registry_, counters_, reader, error); });
        }
    } else {
        // The cursor is good; nothing is behind it, or what there is had no room in this answer.
        left_out_ = left_out_ || more;
        batch_.each_waiter(entry, [&](Subscription &reader) {
            if (!entry.resuming)
                reader.state.set_verified();
            if (more)
                finish(reader, true);
        });
    }
}

void FetchAnswer::apply_error(const Batch::Entry &entry, const Error &error) {
    batch_.each_waiter(entry, [&](Subscription &reader) {
        if (!entry.resuming) {
            fail_reader(registry_, counters_, reader, error);
            return;
        }
        // It may only be about the chunk before the cursor, which may be gone: next the cursor itself is verified.
        reader.state.stop_resuming();
        finish(reader, true);
    });
}

// Copies the pages of one stream; nothing if one is malformed, or holds chunks at or before the cursor.
std::optional<FetchAnswer::Pages> FetchAnswer::read_pages(const Result &rows, int row, int end, std::int64_t cursor) {
    Pages all;
    all.pages.reserve(static_cast<std::size_t>(end - row));
    for (; row < end; ++row) {
        const auto bytes = rows.bytes(row, kPage);
        const auto part = summarize(bytes);
        if (!part || part->chunks == 0 || part->first.id <= (all.pages.empty() ? cursor : all.summary.last.id))
            return std::nullopt;
        if (all.pages.empty())
            all.summary.first = part->first;
        all.summary.last = part->last;
        all.summary.chunks += part->chunks;
        all.pages.push_back(copy_page(bytes, part->chunks));
    }
    return all;
}

void FetchAnswer::apply_pages(const Batch::Entry &entry, const Pages &pages, bool more) {
    ++pages_;
    batch_.each_waiter(entry, [&](Subscription &reader) {
        if (entry.resuming) {
            resume(reader, pages);
        } else if (!batch_.verify && entry.from.epoch && *entry.from.epoch != pages.summary.first.epoch) {
            // Another run of the server has written this. Behind a pooler that may be another server, which was
            // promoted without the chunk at the cursor: it is fetched for again, and the cursor verified.
            reader.state.doubt();
            finish(reader, true);
            return;
        } else {
            reader.state.set_verified();
            if (more)
                reader.set_at_head(false);  // before the consumer sees the pages
            deliver(reader, pages, listening_);
        }
        finish(reader, more || entry.resuming);
    });
}

// The pages begin with the chunk at the cursor, if that still exists. Then the cursor is good and its epoch known from
// now on, and if the chunk is the EOF there is nothing more to come.
void FetchAnswer::resume(Subscription &subscription, const Pages &pages) {
    subscription.state.stop_resuming();
    const Position cursor = subscription.state.cursor();
    const PageChunk &first = pages.summary.first;
    if (first.id != cursor.id || (cursor.epoch && *cursor.epoch != first.epoch))
        return;  // the cursor itself is verified next, and the server says what is wrong with it
    subscription.state.set_verified();
    deliver(subscription, pages, false);
}

void FetchAnswer::deliver(Subscription &subscription, const Pages &pages, bool listening) {
    ReaderState &state = subscription.state;
    if (!state.registered())
        return;
    const PageSummary &summary = pages.summary;
    const std::uint64_t chunks = summary.chunks - (summary.first.id == state.cursor().id ? 1 : 0);
    state.move_cursor({summary.last.id, summary.last.epoch});
    add(counter_for(counters_, state.reasons()), chunks);
    if (listening && state.reasons() == kPoll)
        rescues_.found_by_poll(state.stream()->id, state.stream()->name, chunks, now_ + Rescues::kDelay);
    bool taken = true;
    for (const auto &page : pages.pages)
        taken = taken && subscription.deliver(page);
    if (!taken || summary.last.eof) {
        registry_.remove(subscription);
    } else if (subscription.full()) {
        state.fill();
        subscription.set_at_head(false);
    }
    subscription.notify_ready(counters_.callback_errors);
}

void FetchAnswer::finish(Subscription &subscription, bool more) {
    if (registry_.queue().finish(subscription, more))
        subscription.notify_ready(counters_.callback_errors);
}

// Those for whom there is nothing now.
void FetchAnswer::finish_rest() {
    for (const auto &entry : batch_.entries)
        batch_.each_waiter(entry, [&](Subscription &reader) {
            if (!reader.state.in_query())
                return;
            // There is nothing at the cursor or behind it: next the cursor itself is verified.
            reader.state.stop_resuming();
            // Announced, and empty: perhaps the stream was deleted, and is to be created again with another id. An
            // answer that verifies has the id.
            if ((reader.state.reasons() & kNotify) != 0 && !batch_.verify && reader.state.cursor().id == 0)
                reader.state.doubt();
            // It was doubted while this query, which did not verify, was under way: then it is fetched for again.
            finish(reader, entry.resuming || !reader.state.verified());
        });
}

}  // namespace rill::detail
