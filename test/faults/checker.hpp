// What the fault test has seen, and its verdict: each reader's chunks compared with the table as it is at the end, and
// the table with what the writers were told.
//
// Right because it believes nobody: the table is read by a plain SELECT, every payload is unique in its stream, and
// what an append was told ("stored, with this id") is noted by whoever called it. Pure, but for the clock's type.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace faults {

using Clock = std::chrono::steady_clock;

// A row of the table.
struct Stored {
    std::int64_t id;
    std::string data;
    bool eof;
};

// A chunk that a reader has returned.
struct Delivered {
    std::int64_t id;
    std::string data;
    bool eof;
    Clock::time_point when;
};

// A chunk that an append was told to be stored.
struct Acknowledged {
    std::int64_t id;
    std::string data;
    Clock::time_point when;
};

// One stream, as its writers know it.
struct Written {
    std::vector<Acknowledged> acknowledged;
    std::unordered_set<std::string> unknown;  // no answer came: each is in the table once, or not at all
};

// One reader of that stream.
struct Read {
    std::string name;
    std::size_t skipped = 0;  // how many chunks it was told to leave out
    std::vector<Delivered> chunks;
    bool ended = false;
    std::string trouble;  // the exception that ended it
};

struct Verdict {
    std::uint64_t stored = 0, delivered = 0;
    // By readers.
    std::uint64_t lost = 0, duplicated = 0, reordered = 0, altered = 0;
    std::uint64_t not_ended = 0;  // readers that did not come to the end, or to anything but the end behind the EOF
    // By writers: acknowledged, but not in the table with this id; in the table twice; from nowhere.
    std::uint64_t writes_lost = 0, writes_duplicated = 0, writes_unknown = 0;
    std::uint64_t streams_not_closed = 0;        // the EOF is not the table's last row
    std::chrono::milliseconds longest_stall{0};  // from an acknowledgement to the last of the deliveries
    std::vector<std::string> problems;           // the first ones, in words

    [[nodiscard]] bool good() const;
};

// Adds one stream with all of its readers. `table` is in the order of ids.
void judge(Verdict &verdict, std::string_view stream, const std::vector<Stored> &table, const Written &written,
           const std::vector<const Read *> &readers);

}  // namespace faults
