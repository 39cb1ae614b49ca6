// The demo's program: splits a file into lines, appends them to several streams while readers follow, and accounts for
// every line. It only writes and reads; test/demo/run.sh disturbs the server meanwhile.
//
// Situations it must survive: its sessions terminated, lost wake-ups, the notifier killed, the server restarted in the
// middle of an append. A writer whose append got no answer asks the server for the stream's head. It is the stream's
// only writer, so a head that has moved is its own chunk, and nothing is appended twice.
//
// demo FILE STREAMS SECONDS STARTED_MS OUTPUT: writes what arrived to OUTPUT, for comparison with FILE.
#include <rill/rill.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// Writers and readers that make no progress give up after this: a demo must end.
constexpr auto kPatience = 45s;
constexpr std::size_t kLargestBatch = 50;

std::int64_t started_ms = 0;
std::mutex terminal;

void say(const std::string &text) {
    const auto now =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
    const auto seconds = (now.count() - started_ms) / 1000;
    const std::lock_guard guard(terminal);
    std::printf("%02d:%02d  %s\n", static_cast<int>(seconds / 60), static_cast<int>(seconds % 60), text.c_str());
    std::fflush(stdout);
}

// 12345 -> "12,345"
std::string grouped(std::uint64_t value) {
    std::string digits = std::to_string(value);
    for (std::ptrdiff_t at = std::ssize(digits) - 3; at > 0; at -= 3)
        digits.insert(static_cast<std::size_t>(at), ",");
    return digits;
}

// One stream from both ends. Writer and reader use only their own members; everything is evaluated when both are done.
struct Lane {
    std::string name;
    std::vector<std::string_view> lines;

    std::map<std::int64_t, Clock::time_point> appended;  // id of each acknowledged chunk, and the time
    std::string writer_trouble;

    std::vector<std::pair<std::int64_t, Clock::time_point>> delivered;
    std::string bytes;
    std::string reader_trouble;
    std::atomic<bool> reader_done = false;

    std::atomic<std::size_t> appended_count{0};
    std::atomic<std::size_t> delivered_count{0};
};

class Writer {
public:
    Writer(Lane &lane, std::chrono::seconds duration) : lane_(lane), duration_(duration) {}

    void run() {
        try {
            rill::Client client("", {.call_timeout = 5s, .application_name = "demo writer"});
            std::mt19937 random(std::random_device{}());
            const auto start = Clock::now();
            std::size_t next = 0;
            while (next < lane_.lines.size()) {
                const std::size_t due = lines_due(Clock::now() - start);
                if (due <= next) {
                    std::this_thread::sleep_for(2ms);
                    continue;
                }
                // Mostly single lines; now and then, and to catch up after an outage, a batch.
                const std::size_t batch = random() % 10 == 0 ? 1 + random() % 10 : 1 + (due - next) / 20;
                const std::size_t count = std::min({batch, due - next, kLargestBatch});
                append(client, {lane_.lines.data() + next, count});
                next += count;
            }
            insist([&] { return client.close_stream(lane_.name); });  // idempotent, so it can be repeated
        } catch (const std::exception &error) {
            lane_.writer_trouble = error.what();
        }
    }

private:
    using Lines = std::span<const std::string_view>;

    [[nodiscard]] std::size_t lines_due(Clock::duration elapsed) const {
        const double part = std::chrono::duration<double>(elapsed) / std::chrono::duration<double>(duration_);
        return std::min(lane_.lines.size(),
                        static_cast<std::size_t>(part * static_cast<double>(lane_.lines.size())) + 1);
    }

    void append(rill::Client &client, Lines lines) {
        const auto deadline = Clock::now() + kPatience;
        std::optional<std::int64_t> last;
        while (!(last = try_append(client, lines))) {
            if (Clock::now() > deadline)
                throw std::runtime_error("no append has succeeded for too long");
            std::this_thread::sleep_for(100ms);
        }
        const auto now = Clock::now();
        for (std::int64_t id = *last - std::ssize(lines) + 1; id <= *last; ++id)
            lane_.appended.emplace(id, now);
        lane_.appended_count += lines.size();
        head_ = *last;
    }

    // The last id, or nullopt if the lines were certainly not stored.
    std::optional<std::int64_t> try_append(rill::Client &client, Lines lines) {
        try {
            return lines.size() == 1 ? client.append(lane_.name, lines[0]) : client.append_many(lane_.name, lines);
        } catch (const rill::Error &error) {
            if (error.retryable())
                return std::nullopt;
            if (!error.connection_lost())
                throw;
        }
        // No answer. A restart has ended the session that would have stored the lines, so the head decides.
        const std::int64_t head = insist([&] { return client.head(lane_.name); });
        return head == head_ ? std::nullopt : std::optional(head);
    }

    // Repeats a call that may be repeated until the connection works.
    template <typename Call>
    static std::int64_t insist(Call call) {
        const auto deadline = Clock::now() + kPatience;
        for (;;) {
            try {
                return call();
            } catch (const rill::Error &error) {
                if (!(error.connection_lost() || error.retryable()) || Clock::now() > deadline)
                    throw;
            }
            std::this_thread::sleep_for(100ms);
        }
    }

    Lane &lane_;
    std::chrono::seconds duration_;
    std::int64_t head_ = 0;
};

void follow(rill::Client &client, Lane &lane, const std::atomic<bool> &give_up) {
    try {
        auto reader = client.read(lane.name, rill::from_start());
        while (!reader.ended() && !give_up) {
            const auto chunk = reader.next(500ms);
            if (!chunk)
                continue;
            lane.delivered.emplace_back(chunk->id, Clock::now());
            lane.bytes += chunk->text();
            ++lane.delivered_count;
        }
    } catch (const std::exception &error) {
        lane.reader_trouble = error.what();
    }
    lane.reader_done = true;
}

// Reports the reading client's events in plain words and counts the rescued chunks of each stream.
class Narrator {
public:
    void operator()(const rill::Event &event) {
        using Kind = rill::Event::Kind;
        const bool listen = event.channel == rill::Event::Channel::listen;
        const std::string which = listen ? "LISTEN session" : "read connection";
        const std::string reason = event.reason.size() <= 60 ? event.reason : event.reason.substr(0, 60) + "…";
        switch (event.kind) {
        case Kind::connected:
            say("    reader: " + which + " is up");
            down_[listen] = false;
            break;
        case Kind::disconnected:
            if (!std::exchange(down_[listen], true))  // once, not for every attempt
                say("    reader: no " + which + " (" + reason + "), trying again");
            break;
        case Kind::degraded:
            say("    reader: LISTEN does not work (" + reason + "), polling instead");
            break;
        case Kind::rescued_by_poll: {
            const std::lock_guard guard(lock_);
            rescued_[event.stream] += event.chunks;
            if (const auto now = Clock::now(); now - told_ > 1s) {
                told_ = now;
                say("    reader: the poll found chunks without a wake-up");
            }
            break;
        }
        }
    }

    [[nodiscard]] std::uint64_t rescued(const std::string &stream) {
        const std::lock_guard guard(lock_);
        return rescued_[stream];
    }

private:
    std::mutex lock_;
    std::unordered_map<std::string, std::uint64_t> rescued_;
    Clock::time_point told_{};
    std::array<bool, 2> down_{};  // the read connection, the LISTEN session
};

struct Verdict {
    std::uint64_t appended = 0, delivered = 0, lost = 0, duplicated = 0, reordered = 0, rescued = 0;
    std::chrono::milliseconds stall{0};

    void operator+=(const Verdict &other) {
        appended += other.appended;
        delivered += other.delivered;
        lost += other.lost;
        duplicated += other.duplicated;
        reordered += other.reordered;
        rescued += other.rescued;
        stall = std::max(stall, other.stall);
    }
    [[nodiscard]] bool good() const { return lost == 0 && duplicated == 0 && reordered == 0; }
};

Verdict judge(const Lane &lane) {
    Verdict verdict{.appended = lane.appended.size(), .delivered = lane.delivered.size()};
    std::map<std::int64_t, int> times;
    std::int64_t highest = 0;
    for (const auto &[id, when] : lane.delivered) {
        const auto chunk = lane.appended.find(id);
        // An id unknown to the writer comes from an append that was stored twice.
        if (++times[id] > 1 || chunk == lane.appended.end()) {
            ++verdict.duplicated;
            continue;
        }
        if (id < highest)
            ++verdict.reordered;
        highest = std::max(highest, id);
        verdict.stall =
            std::max(verdict.stall, std::chrono::duration_cast<std::chrono::milliseconds>(when - chunk->second));
    }
    for (const auto &[id, when] : lane.appended)
        verdict.lost += times.contains(id) ? 0 : 1;
    verdict.lost += lane.lines.size() - lane.appended.size();  // a writer that gave up
    return verdict;
}

void print_row(const std::string &name, const Verdict &v) {
    std::printf("%-8s %10s %10s %6s %11s %10s %16s %13s ms\n", name.c_str(), grouped(v.appended).c_str(),
                grouped(v.delivered).c_str(), grouped(v.lost).c_str(), grouped(v.duplicated).c_str(),
                grouped(v.reordered).c_str(), grouped(v.rescued).c_str(),
                grouped(static_cast<std::uint64_t>(v.stall.count())).c_str());
}

// Splits the text into one slice of whole lines for each lane.
void deal_out(std::string_view text, std::vector<Lane> &lanes) {
    std::vector<std::string_view> lines;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
        lines.push_back(text.substr(at, end - at));
        at = end;
    }
    for (std::size_t i = 0; i < lanes.size(); ++i) {
        lanes[i].name = "demo-" + std::to_string(i + 1);
        const auto begin = lines.begin() + static_cast<std::ptrdiff_t>(lines.size() * i / lanes.size());
        const auto end = lines.begin() + static_cast<std::ptrdiff_t>(lines.size() * (i + 1) / lanes.size());
        lanes[i].lines.assign(begin, end);
    }
}

void report_progress(const std::vector<Lane> &lanes, const std::stop_token &stop) {
    for (int tick = 1; !stop.stop_requested(); ++tick) {
        std::this_thread::sleep_for(100ms);
        if (tick % 40 != 0)
            continue;
        std::size_t appended = 0;
        std::size_t delivered = 0;
        for (const Lane &lane : lanes) {
            appended += lane.appended_count;
            delivered += lane.delivered_count;
        }
        say(grouped(appended) + " lines appended, " + grouped(delivered) + " delivered");
    }
}

int run(const std::string &file, std::size_t streams, std::chrono::seconds duration, const std::string &output) {
    std::ifstream in(file, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    if (!in || text.empty())
        throw std::runtime_error("cannot read " + file);
    std::vector<Lane> lanes(streams);
    deal_out(text, lanes);

    Narrator narrator;
    rill::Client client("", {.poll_interval = 2s,
                             .reconnect_max = 2s,
                             .application_name = "demo reader",
                             .on_event = [&](const rill::Event &event) { narrator(event); }});
    std::atomic<bool> give_up = false;
    {
        const std::jthread progress([&](const std::stop_token &stop) { report_progress(lanes, stop); });
        std::vector<std::jthread> readers;
        for (Lane &lane : lanes)
            readers.emplace_back([&] { follow(client, lane, give_up); });
        {
            std::vector<std::jthread> writers;
            for (Lane &lane : lanes)
                writers.emplace_back([&] { Writer(lane, duration).run(); });
        }
        say("all writers are done");
        const auto deadline = Clock::now() + kPatience;
        const auto done = [](const Lane &lane) { return lane.reader_done || !lane.writer_trouble.empty(); };
        while (!std::ranges::all_of(lanes, done) && Clock::now() < deadline)
            std::this_thread::sleep_for(50ms);
        give_up = true;
    }
    client.close();

    std::printf("\n%-8s %10s %10s %6s %11s %10s %16s %16s\n", "stream", "appended", "delivered", "lost", "duplicated",
                "reordered", "rescued by poll", "longest stall");
    Verdict all;
    bool troubled = false;
    std::ofstream out(output, std::ios::binary);
    for (const Lane &lane : lanes) {
        Verdict verdict = judge(lane);
        verdict.rescued = narrator.rescued(lane.name);
        print_row(lane.name, verdict);
        all += verdict;
        out << lane.bytes;
    }
    print_row("all", all);
    for (const Lane &lane : lanes)
        for (const auto &[who, trouble] : {std::pair{"writer", lane.writer_trouble}, {"reader", lane.reader_trouble}})
            if (!trouble.empty()) {
                troubled = true;
                std::printf("the %s of %s failed: %s\n", who, lane.name.c_str(), trouble.c_str());
            }
    const auto stats = client.stats();
    std::printf("\nThe reader got %s chunks by waiting in the server, %s by NOTIFY, %s by poll, %s on catching up; "
                "it reconnected %s times.\n",
                grouped(stats.chunks_by_wait).c_str(), grouped(stats.chunks_by_notify).c_str(),
                grouped(stats.chunks_by_poll).c_str(), grouped(stats.chunks_caught_up).c_str(),
                grouped(stats.reconnects).c_str());
    std::printf("Rescued by poll: found by the poll, with no wake-up within a second.\n");
    std::printf("Longest stall: the longest time from an append's commit to delivery to its reader.\n");
    return all.good() && !troubled && out.flush() ? 0 : 1;
}

}  // namespace

int main(int argc, char **argv) {
    if (argc != 6) {
        std::fprintf(stderr, "usage: demo FILE STREAMS SECONDS STARTED_MS OUTPUT\n");
        return 2;
    }
    try {
        started_ms = std::stoll(argv[4]);
        return run(argv[1], std::stoul(argv[2]), std::chrono::seconds(std::stoi(argv[3])), argv[5]);
    } catch (const std::exception &error) {
        std::fprintf(stderr, "demo: %s\n", error.what());
        return 1;
    }
}
