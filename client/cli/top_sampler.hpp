// Which streams are busy, at a cost that depends on those that are shown, not on those that exist.
//
// A session registers for wake-ups like any client, so it hears the ids of streams that were appended to; their names
// and heads are asked for at each look, for at most kTracked streams, together with the first ones by name. A stream's
// rate is the growth of its head between two looks. Situations it must survive: a standby and a pooler (no wake-ups:
// the first streams by name), a role without pg_monitor or without preload (no state), an overflow of the server's
// queue, a million busy streams (the busiest are kept), streams that are deleted, created again or hidden while they
// are shown. A listener that does not read holds back the server's queue of notifications, so reading goes on between
// looks. Thread-safety: one thread at a time.
#pragma once

#include "sql_session.hpp"
#include "top_snapshot.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>

namespace rill::cli {

class TopSampler {
public:
    static constexpr std::size_t kTracked = 256;
    static constexpr std::size_t kNamed = 100;

    // Connects. Throws Error.
    explicit TopSampler(const ConnectionOptions &connection);

    // Looks at the streams whose names begin with the prefix. Throws Error.
    [[nodiscard]] TopSnapshot look(const std::string &prefix);

    // Collects wake-ups until the deadline, or until `wake_fd` is readable, if it is not negative. False when the
    // connection is lost.
    [[nodiscard]] bool collect(std::chrono::steady_clock::time_point deadline, int wake_fd);

private:
    using Clock = std::chrono::steady_clock;
    struct Tracked {
        std::string name;
        std::int64_t head = 0;
        std::optional<Clock::time_point> seen{};  // when `head` was asked for
        double rate = 0;
        bool measured = false;  // seen twice, so that the rate is known
        Clock::time_point touched{};
    };

    void listen();
    void take_notifications();
    void change_prefix(const std::string &prefix);
    void track_touched();
    void track_first(TopSnapshot &snapshot);
    void drop_quietest();
    void ask_streams(TopSnapshot &snapshot);
    void ask_state(TopSnapshot &snapshot);
    void ask_estimate();

    SqlSession session_;
    std::string prefix_;
    std::string not_listening_;
    std::string no_state_;
    std::optional<std::int64_t> estimate_;
    int looks_ = 0;
    std::unordered_map<std::int64_t, std::uint32_t> touched_;  // by stream id: wake-ups since the last look
    std::set<std::int64_t> unwanted_;                          // hidden, or with another prefix
    std::map<std::int64_t, Tracked> tracked_;
    std::optional<Clock::time_point> state_seen_;
    TopState last_state_{};
};

}  // namespace rill::cli
