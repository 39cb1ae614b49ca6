// See follower.hpp.
#include "follower.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace rill::detail {
namespace {

constexpr std::chrono::seconds kSecondLook{1};
// Where LISTEN does not work: the server looks at each of them once a second, besides.
constexpr std::size_t kMostWaiting = 10'000;

Error nonsense(const char *what) {
    return {std::string("the server's answer makes no sense: ") + what, {.sqlstate = "08P01"}};
}

Counters::Count &counter_for(Counters &counters, std::uint8_t reasons) {
    if ((reasons & kCatchUp) != 0)
        return counters.chunks_caught_up;
    if ((reasons & kWait) != 0)
        return counters.chunks_by_wait;
    return (reasons & kNotify) != 0 ? counters.chunks_by_notify : counters.chunks_by_poll;
}

// The streams that a query names, and the cursors that it reads after.
Params named_streams(const Batch &batch) {
    ArrayParam names(kTextOid);
    ArrayParam cursors(kInt8Oid);
    names.reserve(batch.entries.size(), 24);
    cursors.reserve(batch.entries.size(), 8);
    for (const auto &entry : batch.entries) {
        names.add(*entry.name);
        cursors.add(entry.from.id);
    }
    Params params;
    params.array(kTextArrayOid, std::move(names)).array(kInt8ArrayOid, std::move(cursors));
    return params;
}

Page copy_page(std::span<const std::byte> bytes, std::uint64_t chunks) {
    auto copy = std::make_shared<std::byte[]>(bytes.size());
    std::memcpy(copy.get(), bytes.data(), bytes.size());
    return {std::move(copy), bytes.size(), chunks};
}

}  // namespace

Follower::Follower(Link link, const Options &options, Registry &registry, Counters &counters, const Teller &teller)
    : link_(std::move(link)), options_(options), registry_(registry), counters_(counters), teller_(teller) {}

TimePoint Follower::wake_at() const noexcept {
    return std::min({link_.wake_at(), second_look_at_, give_up_at_, wait_at_});
}

void Follower::advance(short revents, TimePoint now, bool listening) {
    switch (link_.advance(revents, now)) {
    case Link::News::none:
        break;
    case Link::News::connected:
        start_over(now);
        break;
    case Link::News::result:
        take_answer(now, listening);
        break;
    case Link::News::lost:
        lost(now);
        break;
    }
    if (now >= second_look_at_)
        second_look(now);
    if (now >= give_up_at_)
        give_up(now);
}

void Follower::start_over(TimePoint) {
    if (was_up_)
        add(counters_.reconnects);
    was_up_ = up_ = true;
    catching_up_ = true;
    give_up_at_ = TimePoint::max();
    counters_.reading.store(true, std::memory_order_relaxed);
    registry_.start_over(batch_);
    batch_size_.idle();
    wait_policy_.reset();
    owed_look_ = gone_ = false;
    teller_.tell({.kind = Event::Kind::connected, .channel = Event::Channel::read});
}

void Follower::lost(TimePoint now) {
    if (!std::exchange(up_, false))
        add(counters_.connect_failures);
    failed_once_ = true;
    registry_.put_back(batch_);
    wait_at_ = TimePoint::max();
    counters_.reading.store(false, std::memory_order_relaxed);
    if (options_.give_up_after.count() > 0 && give_up_at_ == TimePoint::max())
        give_up_at_ = now + options_.give_up_after;
    teller_.tell({.kind = Event::Kind::disconnected,
                  .channel = Event::Channel::read,
                  .reason = link_.loss().what(),
                  .sqlstate = link_.loss().sqlstate()});
}

void Follower::give_up(TimePoint now) {
    give_up_at_ = now + options_.give_up_after;
    std::vector<std::shared_ptr<Subscription>> all;
    registry_.each([&](Subscription &subscription) { all.push_back(subscription.shared_from_this()); });
    for (const auto &subscription : all)
        fail(*subscription, link_.loss());
}

void Follower::admit(const std::shared_ptr<Subscription> &subscription) {
    registry_.add(subscription);
    counters_.readers.store(registry_.size(), std::memory_order_relaxed);
    registry_.wake(*subscription, kCatchUp);
}

void Follower::readmit(Subscription &subscription) {
    if (subscription.loop.saturated && !subscription.full()) {
        subscription.loop.saturated = false;
        registry_.wake(subscription, kCatchUp);
    }
}

void Follower::forget(Subscription &subscription) {
    gone_ = gone_ || subscription.loop.waiting;
    registry_.remove(subscription);
    counters_.readers.store(registry_.size(), std::memory_order_relaxed);
}

void Follower::poll(TimePoint) {
    add(counters_.polls);
    registry_.wake_all(kPoll);
    poll_due_ = true;
}

void Follower::fetch(TimePoint now, bool listening) {
    if (link_.state() == Link::State::waiting && (registry_.has_work() || poll_due_ || gone_)) {
        end_asked_ = true;
        link_.end_wait(now);
    }
    if (link_.state() != Link::State::idle)
        return;
    wait_at_ = TimePoint::max();
    if (registry_.has_work())
        registry_.take(batch_, batch_size_.limit());
    if (!batch_.entries.empty() || std::exchange(poll_due_, false)) {
        send(now);
        return;
    }
    registry_.settle();
    batch_size_.idle();
    if (std::exchange(catching_up_, false))
        link_.caught_up();
    const bool owed = std::exchange(owed_look_, false);
    if (!wait(now, listening) && owed) {
        registry_.wake_all(kWait);
        fetch(now, listening);
    }
}

// Waits in the server for news of all that are followed, if that is allowed and worth while.
bool Follower::wait(TimePoint now, bool listening) {
    if (registry_.streams() == 0 || (listening && registry_.streams() > options_.wait_streams))
        return false;
    if (now < wait_policy_.not_before()) {
        wait_at_ = wait_policy_.not_before();
        return false;
    }
    if (!registry_.take_waiting(batch_, listening ? options_.wait_streams : kMostWaiting))
        return false;
    waiting_since_ = now;
    gone_ = end_asked_ = false;
    add(counters_.waits);
    link_.wait("CALL " + link_.schema() + "stream_fetch_await($1, $2, '1 min')" +
                   std::string(wait_policy_.padding(), ' '),
               named_streams(batch_), true, now);
    return true;
}

void Follower::send(TimePoint now) {
    Params params = named_streams(batch_);
    if (batch_.verify) {
        ArrayParam epochs(kInt4Oid);
        for (const auto &entry : batch_.entries) {
            if (entry.from.epoch)
                epochs.add(*entry.from.epoch);
            else
                epochs.add_null();
        }
        params.array(kInt4ArrayOid, std::move(epochs));
    } else {
        params.null(kInt4ArrayOid);
    }
    params.int4(options_.fetch_chunks).int8(options_.fetch_bytes);
    poll_due_ = false;
    add(counters_.fetches);
    link_.send("SELECT n, stream_id, page, sqlstate, message FROM " + link_.schema() +
                   "stream_fetch($1, $2, $3, $4, $5)",
               params, true, now);
}

template <typename F>
void Follower::each_rider(const Batch::Entry &entry, F &&function) {
    for (std::uint32_t seat = entry.first_rider; seat != Batch::kNone;) {
        Subscription &rider = *batch_.riders[seat];
        seat = rider.loop.next_rider;
        function(rider);
    }
}

void Follower::take_answer(TimePoint now, bool listening) {
    const Result rows = link_.take_result();
    if (!rows.ok()) {
        refused(rows.error(false), now);
        return;
    }
    owed_look_ = owed_look_ || batch_.waiting;
    const bool news = !batch_.waiting || rows.rows() != 1 || rows.columns() != 5 || !rows.null(0, 0);
    const bool busy = batch_.waiting && wait_policy_.ended(waiting_since_, now, news, listening);
    if (!news && !end_asked_)
        wait_policy_.cut_short(waiting_since_, now);
    total_chunks_ = total_cost_ = pages_ = 0;
    const FetchPolicy policy{static_cast<std::uint64_t>(options_.fetch_chunks),
                             static_cast<std::uint64_t>(options_.fetch_bytes), batch_.entries.size()};
    try {
        if (rows.columns() != 5)
            throw nonsense("stream_fetch has other columns");
        // The pages of a stream are rows that follow each other.
        for (int row = 0, end = 0; news && row < rows.rows(); row = end) {
            while (end < rows.rows() && rows.int4(end, 0) == rows.int4(row, 0))
                ++end;
            if (!take_rows(rows, row, end, policy, now, listening))
                throw nonsense("a row of stream_fetch belongs to no stream");
        }
        if (batch_.verify && std::ranges::any_of(batch_.entries, [](const auto &entry) { return !entry.answered; }))
            throw nonsense("stream_fetch did not verify a cursor");
    } catch (const Error &error) {
        link_.drop(error, now);
        lost(now);
        return;
    }
    const bool spent = policy.spent(total_cost_, total_chunks_);
    for (const auto &entry : batch_.entries)
        each_rider(entry, [&](Subscription &rider) {
            if (!rider.loop.in_flight)
                return;
            // It got no page. If it was not just passed over, whoever resumes now verifies the cursor itself.
            if (!spent)
                rider.loop.resume = false;
            // Doubted while it waited for this query, which did not verify: then it is asked again.
            registry_.landed(rider, spent || entry.resume || !registry_.verified(rider));
        });
    if (batch_.waiting) {
        for (const auto &rider : batch_.riders)
            if (busy)
                registry_.wake(*rider, kWait);
    } else
        batch_size_.served(spent, pages_);
    batch_.clear();
}

bool Follower::take_rows(const Result &rows, int row, int end, const FetchPolicy &policy, TimePoint now,
                         bool listening) {
    const std::int32_t n = rows.int4(row, 0);
    if (n < 1 || static_cast<std::size_t>(n) > batch_.entries.size())
        return false;
    Batch::Entry &entry = batch_.entries[static_cast<std::size_t>(n) - 1];
    if (std::exchange(entry.answered, true))
        return false;
    each_rider(entry, [&](Subscription &rider) {
        if (rider.loop.topic != nullptr)
            registry_.learn_id(*rider.loop.topic, rows.null(row, 1) ? 0 : rows.int8(row, 1));
    });

    if (!rows.null(row, 3)) {
        const Error error(std::string(rows.text(row, 4)), {.sqlstate = std::string(rows.text(row, 3))});
        each_rider(entry, [&](Subscription &rider) {
            if (!entry.resume) {
                fail(rider, error);
            } else {
                // Nothing is wrong with the chunk before the cursor being gone: now verify the cursor itself.
                rider.loop.resume = false;
                registry_.landed(rider, true);
            }
        });
        return true;
    }
    if (rows.null(row, 2)) {
        each_rider(entry, [&](Subscription &rider) {
            if (!entry.resume)
                registry_.set_verified(rider);
        });
        return true;
    }

    PageSummary summary;
    std::vector<Page> pages;
    std::uint64_t cost = 0;
    pages.reserve(static_cast<std::size_t>(end - row));
    for (; row < end; ++row) {
        const auto bytes = rows.bytes(row, 2);
        const auto part = summarize(bytes);
        if (!part || part->chunks == 0 || part->first.id <= (pages.empty() ? entry.from.id : summary.last.id)) {
            const Error error = nonsense("a page of chunks is malformed");
            each_rider(entry, [&](Subscription &rider) { fail(rider, error); });
            return true;
        }
        if (pages.empty())
            summary.first = part->first;
        summary.last = part->last;
        summary.chunks += part->chunks;
        cost += FetchPolicy::cost(bytes.size(), part->chunks);
        pages.push_back(copy_page(bytes, part->chunks));
    }
    total_chunks_ += summary.chunks;
    total_cost_ += cost;
    ++pages_;
    const bool cut = policy.cut(cost, summary.chunks);
    each_rider(entry, [&](Subscription &rider) {
        if (entry.resume) {
            resumed(rider, pages, summary, now);
        } else if (!batch_.verify && entry.from.epoch && *entry.from.epoch != summary.first.epoch) {
            // Another run of the server has written this. Behind a pooler that may be another server, which was
            // promoted without the chunk at the cursor: asked again, with the cursor to be verified.
            registry_.set_doubted(rider);
            registry_.landed(rider, true);
            return;
        } else {
            registry_.set_verified(rider);
            hand_out(rider, pages, summary, listening, now);
        }
        registry_.landed(rider, cut || entry.resume);
        look_twice(now, rider);
    });
    return true;
}

// The page begins with the chunk under the cursor, if that is still there. Then the cursor is good, its epoch is known
// from now on, and if it is the EOF there is nothing more to come.
void Follower::resumed(Subscription &subscription, const std::vector<Page> &pages, const PageSummary &summary,
                       TimePoint now) {
    auto &side = subscription.loop;
    side.resume = false;
    const Position cursor = side.cursor;
    if (summary.first.id != cursor.id || (cursor.epoch && *cursor.epoch != summary.first.epoch))
        return;  // the cursor itself is verified next, and the server says what is wrong with it
    registry_.set_verified(subscription);
    hand_out(subscription, pages, summary, false, now);
}

void Follower::hand_out(Subscription &subscription, const std::vector<Page> &pages, const PageSummary &summary,
                        bool listening, TimePoint now) {
    auto &side = subscription.loop;
    if (side.topic == nullptr)
        return;
    const std::uint64_t news = summary.chunks - (summary.first.id == side.cursor.id ? 1 : 0);
    side.cursor = {summary.last.id, summary.last.epoch};
    add(counter_for(counters_, side.reasons), news);
    if (listening && side.reasons == kPoll)
        registry_.found_by_poll(*side.topic, news, now + kSecondLook);
    bool taken = true;
    for (const auto &page : pages)
        taken = taken && subscription.deliver(page);
    if (!taken || summary.last.eof) {
        forget(subscription);
    } else {
        side.saturated = subscription.full();
    }
    subscription.poke(counters_.callback_errors);
}

void Follower::fail(Subscription &subscription, const Error &error) {
    subscription.loop.in_flight = subscription.loop.waiting = false;
    forget(subscription);
    subscription.fail(error);
    subscription.poke(counters_.callback_errors);
}

// The whole query failed.
void Follower::refused(const Error &error, TimePoint now) {
    if (batch_.waiting) {
        // Then it goes without: what is wrong, if it is with the streams, shows when they are fetched for.
        wait_policy_.refused(waiting_since_, now);
        owed_look_ = true;
        for (const auto &rider : batch_.riders)
            registry_.landed(*rider, false);
        batch_.clear();
        return;
    }
    const std::string &state = error.sqlstate();
    const bool about_values = state.starts_with("22") || state.starts_with("21");
    const bool about_us = state.starts_with("42") || state.starts_with("3F") || state.starts_with("0A");
    if (about_values && batch_.entries.size() > 1) {
        batch_size_.failed(batch_.entries.size());
        registry_.put_back(batch_);
    } else if ((about_values || about_us) && !batch_.entries.empty()) {
        for (const auto &rider : batch_.riders)
            fail(*rider, error);
        batch_.clear();
    } else {
        // Whatever it is, it may pass: begin again with a fresh connection, after a while.
        link_.drop(error, now);
        lost(now);
    }
}

void Follower::look_twice(TimePoint now, const Subscription &subscription) {
    if (second_look_at_ == TimePoint::max())
        second_look_at_ = now + kSecondLook;
    if (subscription.loop.topic != nullptr && !std::exchange(subscription.loop.topic->second_look, true))
        second_look_.push_back(subscription.stream());
}

void Follower::second_look(TimePoint now) {
    second_look_at_ = registry_.each_rescued(now, [&](const std::string &stream, std::uint64_t chunks) {
        add(counters_.chunks_rescued, chunks);
        teller_.tell({.kind = Event::Kind::rescued_by_poll,
                      .channel = Event::Channel::read,
                      .stream = stream,
                      .chunks = chunks});
    });
    for (const auto &name : std::exchange(second_look_, {})) {
        Topic *const topic = registry_.find(name);
        if (topic == nullptr)
            continue;
        topic->second_look = false;
        for (const auto &follower : topic->followers)
            registry_.wake(*follower, kPoll);
    }
}

}  // namespace rill::detail
