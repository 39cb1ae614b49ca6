// See checker.hpp.
#include "checker.hpp"

#include <algorithm>
#include <string>
#include <unordered_map>

namespace faults {

namespace {

constexpr std::size_t kMaxProblems = 10;

class Judge {
public:
    Judge(Verdict &verdict, std::string_view stream, const std::vector<Stored> &table, const Written &written)
        : verdict_(verdict), stream_(stream), table_(table), written_(written) {}

    void writers() {
        verdict_.stored += table_.size();
        std::unordered_map<std::string_view, std::size_t> times;
        for (const Stored &row : table_) {
            rows_.emplace(row.id, &row);
            if (is_chunk(row) && ++times[row.data] == 2)
                blame(verdict_.writes_duplicated, "stored twice: " + describe(row.id, row.data));
        }
        std::unordered_set<std::string_view> known;
        for (const Acknowledged &append : written_.acknowledged) {
            acknowledged_at_.emplace(append.id, append.when);
            known.insert(append.data);
            const auto row = rows_.find(append.id);
            if (row == rows_.end() || row->second->data != append.data)
                blame(verdict_.writes_lost, "acknowledged, but not stored: " + describe(append.id, append.data));
        }
        for (const Stored &row : table_)
            if (is_chunk(row) && !known.contains(row.data) && !written_.unknown.contains(row.data))
                blame(verdict_.writes_unknown, "stored, but not acknowledged: " + describe(row.id, row.data));
        const auto eofs = std::ranges::count_if(table_, [](const Stored &row) { return row.eof; });
        if (table_.empty() || !table_.back().eof || eofs != 1)
            blame(verdict_.streams_not_closed, std::to_string(eofs) + " EOFs, or one that is not last");
    }

    void reader(const Read &reader) {
        verdict_.delivered += reader.chunks.size();
        std::unordered_set<std::int64_t> seen;
        std::int64_t highest = 0;
        bool behind_eof = false;
        for (const Delivered &chunk : reader.chunks) {
            const auto who = reader.name + ": " + describe(chunk.id, chunk.data);
            const auto row = rows_.find(chunk.id);
            if (row == rows_.end() || row->second->data != chunk.data || row->second->eof != chunk.eof)
                blame(verdict_.altered, "not what the table has, " + who);
            if (!seen.insert(chunk.id).second)
                blame(verdict_.duplicated, "again, " + who);
            else if (chunk.id < highest)
                blame(verdict_.reordered, "after " + std::to_string(highest) + ", " + who);
            highest = std::max(highest, chunk.id);
            if (behind_eof)
                blame(verdict_.not_ended, "behind the EOF, " + who);
            behind_eof = behind_eof || chunk.eof;
            if (const auto when = acknowledged_at_.find(chunk.id); when != acknowledged_at_.end())
                verdict_.longest_stall =
                    std::max(verdict_.longest_stall,
                             std::chrono::duration_cast<std::chrono::milliseconds>(chunk.when - when->second));
        }
        if (!reader.ended || !reader.trouble.empty())
            blame(verdict_.not_ended, reader.name + ": has not ended " + reader.trouble);
        std::size_t to_skip = reader.skipped;
        for (const Stored &row : table_) {
            if (!is_chunk(row) || (!row.eof && to_skip > 0 && to_skip-- > 0)) {
                if (seen.contains(row.id))
                    blame(verdict_.altered, reader.name + ": was to be left out, " + describe(row.id, row.data));
            } else if (!seen.contains(row.id)) {
                blame(verdict_.lost, reader.name + ": lost, " + describe(row.id, row.data));
            }
        }
    }

private:
    // What readers return: everything but an empty EOF. No other chunk is empty here.
    static bool is_chunk(const Stored &row) { return !row.data.empty(); }

    [[nodiscard]] std::string describe(std::int64_t id, std::string_view data) const {
        return std::to_string(id) + " of " + std::string(stream_) + " (" + std::string(data.substr(0, 40)) + ")";
    }

    void blame(std::uint64_t &count, const std::string &problem) {
        ++count;
        if (verdict_.problems.size() < kMaxProblems)
            verdict_.problems.push_back(problem);
    }

    Verdict &verdict_;
    std::string_view stream_;
    const std::vector<Stored> &table_;
    const Written &written_;
    std::unordered_map<std::int64_t, const Stored *> rows_;
    std::unordered_map<std::int64_t, Clock::time_point> acknowledged_at_;
};

}  // namespace

bool Verdict::good() const {
    return lost + duplicated + reordered + altered + not_ended + writes_lost + writes_duplicated + writes_unknown +
               streams_not_closed ==
           0;
}

void judge(Verdict &verdict, std::string_view stream, const std::vector<Stored> &table, const Written &written,
           const std::vector<const Read *> &readers) {
    Judge judge(verdict, stream, table, written);
    judge.writers();
    for (const Read *reader : readers)
        judge.reader(*reader);
}

}  // namespace faults
