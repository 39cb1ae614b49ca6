// See top_sampler.hpp.
#include "top_sampler.hpp"

#include "payload.hpp"
#include "rill/error.hpp"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

#include <poll.h>

namespace rill::cli {
namespace {

// More ids than this between two looks, or unwanted, are forgotten.
constexpr std::size_t kRemembered = 100'000;

std::optional<double> real(const Rows &rows, int row, const char *column) {
    const auto text = rows.text(row, column);
    return text ? std::optional<double>(std::strtod(text->c_str(), nullptr)) : std::nullopt;
}

std::string id_array(const std::vector<std::int64_t> &ids) {
    std::string out = "{";
    for (const std::int64_t id : ids)
        out += (out.size() > 1 ? "," : "") + std::to_string(id);
    return out + "}";
}

std::optional<double> rate_of(std::optional<std::int64_t> now, std::optional<std::int64_t> before, double seconds) {
    if (!now || !before || *now < *before || seconds <= 0)
        return std::nullopt;
    return static_cast<double>(*now - *before) / seconds;
}

}  // namespace

TopSampler::TopSampler(const ConnectionOptions &connection) : session_(connection) { listen(); }

void TopSampler::listen() {
    try {
        (void) session_.run("SELECT {}stream_listen()");
    } catch (const Error &error) {
        if (error.connection_lost())
            throw;
        not_listening_ = error.sqlstate() == "25006" ? "a standby sends no wake-ups" : error.what();
    }
}

void TopSampler::take_notifications() {
    for (;;) {
        const std::unique_ptr<PGnotify, decltype(&PQfreemem)> notify(PQnotifies(session_.connection()), &PQfreemem);
        if (notify == nullptr)
            return;
        // "*", an overflow, names no stream; those that are busy will be named again.
        (void) detail::parse_payload(notify->extra, [this](std::int64_t id) {
            if (unwanted_.contains(id))
                return;
            if (touched_.size() < kRemembered || touched_.contains(id))
                ++touched_[id];
        });
    }
}

bool TopSampler::collect(Clock::time_point deadline, int wake_fd) {
    for (;;) {
        take_notifications();
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
        if (left <= 0)
            return true;
        pollfd fds[2] = {{PQsocket(session_.connection()), POLLIN, 0}, {wake_fd, POLLIN, 0}};
        const int ready = ::poll(fds, 2, static_cast<int>(std::min<std::int64_t>(left, 60'000)));
        if (ready < 0 && errno != EINTR)
            return false;
        if (ready > 0 && fds[1].revents != 0)
            return true;
        if (ready > 0 && fds[0].revents != 0 && PQconsumeInput(session_.connection()) == 0)
            return false;
        if (PQstatus(session_.connection()) != CONNECTION_OK)
            return false;
    }
}

TopSnapshot TopSampler::look(const std::string &prefix) {
    if (prefix != prefix_)
        change_prefix(prefix);
    take_notifications();
    TopSnapshot snapshot;
    snapshot.database = PQdb(session_.connection());
    snapshot.prefix = prefix;
    snapshot.not_listening = not_listening_;
    track_touched();
    track_first(snapshot);
    drop_quietest();
    ask_streams(snapshot);
    ask_state(snapshot);
    if (looks_++ % 30 == 0) {
        ask_estimate();
        unwanted_.clear();  // rights may have changed
    }
    snapshot.estimated_streams = estimate_;
    snapshot.more_busy = tracked_.size() >= kTracked;
    return snapshot;
}

void TopSampler::change_prefix(const std::string &prefix) {
    prefix_ = prefix;
    std::erase_if(tracked_, [&](const auto &entry) { return !entry.second.name.starts_with(prefix); });
    unwanted_.clear();
}

// The busiest ids of which nothing is known get their names.
void TopSampler::track_touched() {
    const auto now = Clock::now();
    std::vector<std::pair<std::uint32_t, std::int64_t>> strangers;
    for (const auto &[id, count] : std::exchange(touched_, {})) {
        const auto known = tracked_.find(id);
        if (known != tracked_.end())
            known->second.touched = now;
        else
            strangers.emplace_back(count, id);
    }
    if (strangers.size() > kTracked) {
        std::ranges::nth_element(strangers, strangers.begin() + kTracked, std::greater<>());
        strangers.resize(kTracked);
    }
    if (strangers.empty())
        return;
    std::vector<std::int64_t> ids;
    for (const auto &stranger : strangers)
        ids.push_back(stranger.second);
    const Rows rows =
        session_.run("SELECT stream_id, name FROM {}stream_names($1::pg_catalog.int8[])", {id_array(ids)});
    if (unwanted_.size() > kRemembered)
        unwanted_.clear();
    unwanted_.insert(ids.begin(), ids.end());
    for (int row = 0; row < rows.size(); ++row) {
        const std::int64_t id = rows.number(row, "stream_id").value_or(0);
        std::string name = rows.text(row, "name").value_or("");
        if (!name.starts_with(prefix_))
            continue;
        unwanted_.erase(id);
        tracked_[id] = {.name = std::move(name), .touched = now};
    }
}

void TopSampler::track_first(TopSnapshot &snapshot) {
    const Rows rows = session_.run("SELECT stream_id, name FROM {}stream WHERE name OPERATOR(pg_catalog.^@) $1"
                                   " ORDER BY name LIMIT " +
                                       std::to_string(kNamed + 1),
                                   {prefix_});
    snapshot.more_streams = rows.size() > static_cast<int>(kNamed);
    for (int row = 0; row < std::min(rows.size(), static_cast<int>(kNamed)); ++row) {
        const std::int64_t id = rows.number(row, "stream_id").value_or(0);
        if (!tracked_.contains(id))
            tracked_[id] = {.name = rows.text(row, "name").value_or("")};
    }
}

// Most places belong to those with the highest measured rate. The others are for streams that were heard of and whose
// rate is not known yet: each look measures some, and they stay if they are busier.
void TopSampler::drop_quietest() {
    if (tracked_.size() <= kTracked)
        return;
    constexpr std::size_t measured_places = kTracked / 4 * 3;
    std::vector<std::pair<double, std::int64_t>> measured;
    std::vector<std::pair<Clock::time_point, std::int64_t>> others;
    for (const auto &[id, stream] : tracked_) {
        if (stream.seen && stream.rate > 0)
            measured.emplace_back(stream.rate, id);
        else
            others.emplace_back(!stream.seen      ? stream.touched
                                : stream.measured ? Clock::time_point()
                                                  : Clock::time_point::max(),
                                id);
    }
    std::ranges::sort(measured, std::greater<>());
    std::ranges::sort(others, std::greater<>());
    const std::size_t keep =
        std::max(std::min(measured.size(), measured_places), kTracked - std::min(kTracked, others.size()));
    for (std::size_t i = keep; i < measured.size(); ++i)
        tracked_.erase(measured[i].second);
    for (std::size_t i = kTracked - std::min(keep, measured.size()); i < others.size(); ++i)
        tracked_.erase(others[i].second);
}

void TopSampler::ask_streams(TopSnapshot &snapshot) {
    std::vector<std::string> names;
    for (const auto &entry : tracked_)
        names.push_back(entry.second.name);
    const Rows rows = session_.run(
        "SELECT stream_id, name, head_id, waiters, closed,"
        " pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) last_at) AS age"
        " FROM {}stream_info WHERE name OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.text[])",
        {array_literal(names)});
    const auto now = Clock::now();
    std::map<std::int64_t, Tracked> still_there;
    for (int row = 0; row < rows.size(); ++row) {
        const std::int64_t id = rows.number(row, "stream_id").value_or(0);
        const auto found = tracked_.find(id);  // another id: deleted and created again
        Tracked &stream = still_there[id];
        if (found != tracked_.end())
            stream = found->second;
        stream.name = rows.text(row, "name").value_or("");
        TopStream shown{.name = stream.name, .head = rows.number(row, "head_id").value_or(0)};
        if (stream.seen) {
            const double seconds = std::chrono::duration<double>(now - *stream.seen).count();
            shown.rate = rate_of(shown.head, stream.head, seconds).value_or(0);
            stream.measured = true;
        }
        stream.head = shown.head;
        stream.seen = now;
        stream.rate = shown.rate.value_or(0);
        shown.readers = rows.number(row, "waiters");
        shown.age = real(rows, row, "age");
        shown.closed = rows.truth(row, "closed");
        snapshot.streams.push_back(std::move(shown));
    }
    tracked_ = std::move(still_there);
}

void TopSampler::ask_state(TopSnapshot &snapshot) {
    snapshot.no_state = no_state_;
    if (!no_state_.empty())
        return;
    try {
        const Rows rows = session_.run(
            "SELECT *, pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) retention_at)"
            " AS retention_age FROM {}stream_stat");
        const auto now = Clock::now();
        if (rows.size() != 1)
            return;
        TopState state{.listeners = rows.number(0, "listeners"),
                       .waiters = rows.number(0, "waiters"),
                       .notifier = rows.text(0, "notifier_state").value_or("unknown"),
                       .notifier_pid = rows.number(0, "notifier_pid"),
                       .retention_age = real(rows, 0, "retention_age"),
                       .retention_backlog = rows.number(0, "retention_backlog"),
                       .retention_lag = rows.text(0, "retention_lag"),
                       .trimmed_chunks = rows.number(0, "trimmed_chunks"),
                       .wakeups = rows.number(0, "wakeups"),
                       .notifies = rows.number(0, "notifies"),
                       .overflows = rows.number(0, "overflows"),
                       .rescues = rows.number(0, "rescues"),
                       .wakeups_rate = {},
                       .notifies_rate = {}};
        if (state_seen_) {
            const double seconds = std::chrono::duration<double>(now - *state_seen_).count();
            state.wakeups_rate = rate_of(state.wakeups, last_state_.wakeups, seconds);
            state.notifies_rate = rate_of(state.notifies, last_state_.notifies, seconds);
        }
        state_seen_ = now;
        last_state_ = state;
        snapshot.state = std::move(state);
    } catch (const Error &error) {
        if (error.connection_lost() || error.sqlstate() == "57014")
            throw;
        no_state_ = error.sqlstate() == "42501" ? "shown to members of pg_monitor" : error.what();
        snapshot.no_state = no_state_;
    }
}

// What the planner believes, since counting reads them all. Negative before the first ANALYZE.
void TopSampler::ask_estimate() {
    const Rows rows = session_.run("SELECT reltuples::pg_catalog.int8 AS streams FROM pg_catalog.pg_class"
                                   " WHERE oid OPERATOR(pg_catalog.=) $1::pg_catalog.regclass::pg_catalog.oid",
                                   {session_.schema() + "stream"});
    estimate_ = rows.size() == 1 ? rows.number(0, "streams") : std::nullopt;
    if (estimate_ && *estimate_ < 0)
        estimate_ = std::nullopt;
}

}  // namespace rill::cli
