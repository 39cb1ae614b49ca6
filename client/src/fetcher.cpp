// See fetcher.hpp.
#include "fetcher.hpp"

#include "extension_schema.hpp"
#include "fetch_answer.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace rill::detail {
namespace {

// Where LISTEN does not work more streams are waited for, though the server rechecks each of them once a second.
constexpr std::size_t kMaxWaitingWithoutListen = 10'000;

// The streams that a query names, and the cursors that it reads after.
Params names_and_cursors(const Batch &batch) {
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

}  // namespace

TimePoint Fetcher::wake_at() const noexcept {
    return std::min({link_.wake_at(), rescues_.due(), give_up_at_, wait_at_});
}

void Fetcher::advance(short revents, TimePoint now, const Wakeups &wakeups) {
    switch (link_.advance(revents, now)) {
    case Link::Progress::none:
        break;
    case Link::Progress::connected:
        connected();
        break;
    case Link::Progress::answered:
        answered(now, wakeups.listening);
        break;
    case Link::Progress::failed:
        connect_failed_ = true;
        add(counters_.connect_failures);
        lost(link_.loss(), now);
        break;
    case Link::Progress::lost:
        lost(link_.loss(), now);
        break;
    }
    if (now >= rescues_.due())
        report_rescues(now);
    if (now >= give_up_at_)
        give_up(now);
}

void Fetcher::connected() {
    if (link_.connects() > 1)
        add(counters_.reconnects);
    catching_up_ = true;
    give_up_at_ = TimePoint::max();
    counters_.reading.store(true, std::memory_order_relaxed);
    registry_.start_over(batch_);
    batch_size_.reset();
    wait_policy_.reset();
    passed_over_ = false;
    events_.emit({.kind = Event::Kind::connected, .channel = Event::Channel::read});
}

void Fetcher::lost(const Error &why, TimePoint now) {
    registry_.queue().put_back(batch_);
    listen_test_.lost();
    wait_at_ = TimePoint::max();
    counters_.reading.store(false, std::memory_order_relaxed);
    if (options_.give_up_after.count() > 0 && give_up_at_ == TimePoint::max())
        give_up_at_ = now + options_.give_up_after;
    events_.emit(Event::Kind::disconnected, Event::Channel::read, why);
}

void Fetcher::give_up(TimePoint now) {
    give_up_at_ = now + options_.give_up_after;
    std::vector<std::shared_ptr<Subscription>> all;
    registry_.each([&](Subscription &subscription) { all.push_back(subscription.shared_from_this()); });
    for (const auto &subscription : all)
        fail_reader(registry_, counters_, *subscription, link_.loss());
}

void Fetcher::report_rescues(TimePoint now) {
    rescues_.report(now, [&](const std::string &stream, std::uint64_t chunks) {
        rescued_ = true;
        add(counters_.chunks_rescued, chunks);
        events_.emit({.kind = Event::Kind::rescued_by_poll,
                      .channel = Event::Channel::read,
                      .stream = stream,
                      .chunks = chunks});
    });
}

void Fetcher::poll() {
    add(counters_.polls);
    registry_.wake_all(kPoll);
    poll_due_ = true;
}

void Fetcher::fetch(TimePoint now, const Wakeups &wakeups) {
    FetchQueue &queue = registry_.queue();
    if (link_.state() == Link::State::waiting && (!queue.empty() || poll_due_ || registry_.waiting_reader_removed() ||
                                                  registry_.has_unknown_ids() || listen_test_.wanted())) {
        wait_ended_by_us_ = true;
        link_.end_wait(now);
    }
    if (link_.state() != Link::State::idle)
        return;
    wait_at_ = TimePoint::max();
    if (listen_test_.wanted()) {  // seldom, and quick: 100,000 readers that are due must not keep LISTEN waiting
        send_listen_test(now);
        return;
    }
    // In turns: neither must starve the other.
    if (registry_.has_unknown_ids() && (queue.empty() || query_ != Query::names)) {
        send_names(now);
        return;
    }
    if (!queue.empty())
        queue.take(batch_, batch_size_.limit());
    if (!batch_.entries.empty() || std::exchange(poll_due_, false)) {
        send_fetch(now);
        return;
    }
    batch_size_.reset();
    if (std::exchange(catching_up_, false))
        link_.reset_backoff();
    const bool passed_over = std::exchange(passed_over_, false);
    if (!wait(now, wakeups) && passed_over) {
        registry_.wake_all(kWait);
        fetch(now, wakeups);
    }
}

// A wait occupies the server connection that it runs on. Through a transaction pooler that is one of a few that all
// its clients share; a client of a session pooler, where LISTEN works on the same way, has one for itself anyway.
bool Fetcher::may_wait(const Wakeups &wakeups) const noexcept {
    const bool same_way = options_.listen_conninfo.empty();
    if (options_.wait_through_pooler)
        return true;
    return link_.direct() ? !(wakeups.silent && same_way) : wakeups.listening && same_way;
}

// Waits in the server for news of all that are followed, if that is allowed and worth it.
bool Fetcher::wait(TimePoint now, const Wakeups &wakeups) {
    const bool listening = wakeups.listening;
    if (registry_.streams() == 0 || (listening && registry_.streams() > options_.wait_streams) || !may_wait(wakeups))
        return false;
    if (now < wait_policy_.not_before()) {
        wait_at_ = wait_policy_.not_before();
        return false;
    }
    if (!registry_.take_waiting(batch_, listening ? options_.wait_streams : kMaxWaitingWithoutListen))
        return false;
    query_ = Query::fetch;
    waiting_since_ = now;
    wait_ended_by_us_ = false;
    add(counters_.waits);
    link_.wait("CALL " + link_.schema() + "stream_fetch_await($1, $2, '1 min')" +
                   std::string(wait_policy_.padding(), ' '),
               names_and_cursors(batch_), true, now);
    return true;
}

void Fetcher::send_fetch(TimePoint now) {
    Params params = names_and_cursors(batch_);
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
    query_ = Query::fetch;
    add(counters_.fetches);
    link_.send("SELECT n, stream_id, page, more, sqlstate, message FROM " + link_.schema() +
                   "stream_fetch($1, $2, $3, $4, $5)",
               params, true, now);
}

void Fetcher::send_names(TimePoint now) {
    const auto unknown = registry_.take_unknown_ids();
    ArrayParam ids(kInt8Oid);
    ids.reserve(unknown.size(), 8);
    for (const std::int64_t id : unknown)
        ids.add(id);
    query_ = Query::names;
    link_.send("SELECT stream_id, name FROM " + link_.schema() + "stream_names($1)",
               Params().array(kInt8ArrayOid, std::move(ids)), true, now);
}

void Fetcher::send_listen_test(TimePoint now) {
    listen_test_.send();
    query_ = Query::listen_test;
    link_.send("SELECT pg_catalog.pg_notify($1, $2)",
               Params().text(listen_test_.channel()).text(listen_test_.payload()), false, now);
}

void Fetcher::answered(TimePoint now, bool listening) {
    const Result rows = link_.take_result();
    if (query_ == Query::listen_test) {
        if (rows.ok())
            listen_test_.committed(now);
        else
            listen_test_.failed(rows.error(false));
        return;
    }
    if (!rows.ok()) {
        query_failed(rows.error(false), now);
        return;
    }
    looks_ = 0;
    try {
        if (query_ == Query::names)
            names_answered(rows);
        else
            fetch_answered(rows, now, listening);
    } catch (const Error &error) {
        link_.drop(error, now);
        lost(error, now);
    }
}

void Fetcher::names_answered(const Result &rows) {
    if (rows.columns() != 2)
        throw unexpected_answer("stream_names has other columns");
    for (int row = 0; row < rows.rows(); ++row)
        registry_.named(rows.int8(row, 0), rows.text(row, 1), kNotify);
}

void Fetcher::fetch_answered(const Result &rows, TimePoint now, bool listening) {
    const bool waited = batch_.waiting;
    passed_over_ = passed_over_ || waited;
    // A wait that ended without news answers with one row of nulls.
    const bool news = !waited || rows.rows() != 1 || rows.columns() == 0 || !rows.null(0, 0);
    const bool busy = waited && wait_policy_.ended(waiting_since_, now, news, listening);
    if (!news && !wait_ended_by_us_)
        wait_policy_.cut_short(waiting_since_, now);
    FetchAnswer answer(registry_, rescues_, counters_, batch_, listening, now);
    if (news)
        answer.apply(rows);
    else
        answer.apply_nothing();
    if (!waited)
        batch_size_.succeeded(answer.left_out(), answer.pages());
    if (busy)
        for (const auto &waiter : batch_.waiters)
            registry_.queue().wake(*waiter.reader, kWait);
    batch_.clear();
}

void Fetcher::query_failed(const Error &error, TimePoint now) {
    if (query_ == Query::names) {
        // It does without. If this is not about the names alone, the fetch fails as well, and shows what is wrong.
        registry_.doubt_without_id(kNotify);
        return;
    }
    if (batch_.waiting) {
        // Then it does without: what is wrong, if it is with the streams, shows when they are fetched for.
        wait_policy_.failed(waiting_since_, now);
        passed_over_ = true;
        for (const auto &waiter : batch_.waiters)
            (void) registry_.queue().finish(*waiter.reader, false);
        batch_.clear();
        return;
    }
    // A schema that was found and is gone was renamed: readers outlive this as often as it happens.
    if (extension_not_found(error) && (looks_ < kLooksForExtension || error.sqlstate() == "3F000")) {
        link_.drop(error, now);
        if (++looks_ == 1)
            link_.try_now(now);
        lost(error, now);
        return;
    }
    const std::string &state = error.sqlstate();
    const bool about_values = state.starts_with("22") || state.starts_with("21");
    const bool about_us = state.starts_with("42") || state.starts_with("3F") || state.starts_with("0A");
    if (about_values && batch_.entries.size() > 1) {
        batch_size_.failed(batch_.entries.size());
        registry_.queue().put_back(batch_);
    } else if ((about_values || about_us) && !batch_.entries.empty()) {
        for (const auto &waiter : batch_.waiters)
            fail_reader(registry_, counters_, *waiter.reader, error);
        batch_.clear();
    } else {
        // Whatever it is, it may pass: a fresh connection, after a while.
        link_.drop(error, now);
        lost(error, now);
    }
}

}  // namespace rill::detail
