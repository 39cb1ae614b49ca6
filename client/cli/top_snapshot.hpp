// What `rill top` shows of one moment. Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace rill::cli {

struct TopStream {
    std::string name;
    std::int64_t head = 0;
    std::optional<double> rate{};           // ids given per second since the look before; unknown at the first
    std::optional<std::int64_t> readers{};  // sessions that wait for it in the server; unknown without preload
    std::optional<double> age{};            // seconds since the last append; none in an empty stream
    bool closed = false;
};

// Of the view stream_stat. A member is nullopt where the server does not tell.
struct TopState {
    std::optional<std::int64_t> listeners;
    std::optional<std::int64_t> waiters;
    std::string notifier;
    std::optional<std::int64_t> notifier_pid;
    std::optional<double> retention_age;  // seconds since the retention worker was here
    std::optional<std::int64_t> retention_backlog;
    std::optional<std::string> retention_lag;
    std::optional<std::int64_t> trimmed_chunks;
    std::optional<std::int64_t> wakeups;
    std::optional<std::int64_t> notifies;
    std::optional<std::int64_t> overflows;
    std::optional<std::int64_t> rescues;
    std::optional<double> wakeups_rate;
    std::optional<double> notifies_rate;
};

struct TopSnapshot {
    std::string database;
    std::string prefix;
    std::optional<std::int64_t> estimated_streams;
    std::vector<TopStream> streams;
    std::optional<TopState> state;
    std::string no_state;       // why not
    std::string not_listening;  // why busy streams are not known; empty where they are
    bool more_streams = false;  // there are others, of which nothing was heard
    bool more_busy = false;     // so many are busy that not all can be measured
    std::string error;          // the connection is lost; the rest is of the moment before
};

}  // namespace rill::cli
