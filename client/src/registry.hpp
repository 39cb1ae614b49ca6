// Which streams are followed, by whom, and who has to be looked at next.
//
// Several readers may follow one stream, at the same or at different cursors; the server takes each stream once in a
// query, so a batch holds a stream once, with all the readers that stand at the same cursor. Indexed by name and by the
// opaque id of the NOTIFY payloads: a wake-up costs what it names, not what is followed.
// Loop thread only. Situations it must survive: a reader stopped while its batch is under way, ids of streams nobody
// here follows, streams that come to exist later, or get another id.
#pragma once

#include "subscription.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace rill::detail {

// One followed stream.
struct Topic {
    std::string name;
    std::int64_t stream_id = 0;  // 0 while unknown
    std::vector<std::shared_ptr<Subscription>> followers;
    bool second_look = false;  // it is on the list for one
    std::uint64_t batch = 0;   // the last batch it was in, and where
    std::uint32_t entry = 0;
};

// One query: each stream once, and who stands behind each.
struct Batch {
    static constexpr std::uint32_t kNone = 0xffffffff;

    struct Entry {
        const std::string *name;  // valid while the batch is taken; the query has its own copy
        Position from;            // what is asked for
        bool resume;
        std::uint32_t first_rider;
        bool answered = false;
    };
    std::vector<Entry> entries;
    std::vector<std::shared_ptr<Subscription>> riders;  // chained by loop.next_rider
    bool verify = false;
    bool waiting = false;  // a query that waits for news

    void clear() {
        entries.clear();
        riders.clear();
        verify = waiting = false;
    }
};

class Registry {
public:
    using TimePoint = std::chrono::steady_clock::time_point;

    Registry() = default;
    Registry(const Registry &) = delete;
    Registry &operator=(const Registry &) = delete;

    void add(const std::shared_ptr<Subscription> &subscription);
    void remove(Subscription &subscription);
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    // Has the subscription looked at: in the next batch, or in the one after it when it is just under way.
    void wake(Subscription &subscription, Reason reason);
    void wake_all(Reason reason);
    // Those who follow the stream with this id; if nobody does, those whose stream has no id yet. Their next query
    // verifies, so that it has a row with the id of each stream that is there: when all are through and nobody's stream
    // is the one, it is none of ours, and wakes nobody again.
    void wake_id(std::int64_t stream_id, Reason reason);
    // A wake-up for everything came: no chunk is unannounced.
    void announce_all() noexcept { unannounced_.clear(); }
    // A poll found chunks that no wake-up has told of. One that comes before `due` still does.
    void found_by_poll(const Topic &topic, std::uint64_t chunks, TimePoint due);
    // Calls function(name, chunks) for those that were due and never announced; returns when the next are due.
    template <typename F>
    TimePoint each_rescued(TimePoint now, F &&function) {
        TimePoint next = TimePoint::max();
        for (auto item = unannounced_.begin(); item != unannounced_.end();) {
            auto &found = item->second;
            if (now >= found.due) {
                function(found.name, found.chunks);
                found.chunks = std::exchange(found.younger, 0);
                found.due = found.younger_due;
            }
            if (found.chunks > 0)
                next = std::min(next, found.due);
            item = found.chunks > 0 ? std::next(item) : unannounced_.erase(item);
        }
        return next;
    }
    void learn_id(Topic &topic, std::int64_t stream_id);

    // A new read connection: what was under way is void, everybody is looked at and each cursor verified first.
    void start_over(Batch &void_batch);

    // To be called when nothing waits to be looked at and no query is under way.
    void settle() noexcept { settled_ = true; }
    [[nodiscard]] bool has_work() const noexcept { return !verify_.empty() || !plain_.empty(); }
    // Takes up to `limit` streams that wait to be looked at, oldest first; those to be verified go before the others
    // and never with them.
    void take(Batch &batch, std::size_t limit);
    // All that have nothing to be looked at, at most `limit` streams: for a query that waits for news of them. Of those
    // who follow one stream, the ones furthest behind: so the others' turn comes. Until it
    // has landed, wake-ups by NOTIFY are passed over: the server tells of the same chunks. So whoever has waited is
    // owed a look, unless it waits again at once. Returns whether there are any.
    [[nodiscard]] bool take_waiting(Batch &batch, std::size_t limit);
    [[nodiscard]] std::size_t streams() const noexcept { return topics_.size(); }
    // Puts riders back in front, in their order, after a batch that failed as a whole.
    void put_back(Batch &batch);
    // The query for this rider is over. It is looked at again if `more` or if it was woken meanwhile; else it waits.
    void landed(Subscription &subscription, bool more);
    // Its stream, if it is still followed.
    [[nodiscard]] Topic *find(std::string_view name) noexcept;

    [[nodiscard]] bool verified(const Subscription &subscription) const noexcept {
        return subscription.loop.verified_in == connection_;
    }
    void set_verified(Subscription &subscription) const noexcept { subscription.loop.verified_in = connection_; }
    // Its cursor has to be verified again.
    void set_doubted(Subscription &subscription) const noexcept { subscription.loop.verified_in = 0; }

    template <typename F>
    void each(F &&function) {
        for (auto &[name, topic] : topics_)
            for (const auto &follower : topic->followers)
                function(*follower);
    }

private:
    using Queue = std::deque<std::shared_ptr<Subscription>>;

    [[nodiscard]] Queue &queue_of(const Subscription &subscription) noexcept {
        return verified(subscription) ? plain_ : verify_;
    }
    [[nodiscard]] bool board(Batch &batch, const std::shared_ptr<Subscription> &subscription, std::size_t limit);

    std::unordered_map<std::string_view, std::unique_ptr<Topic>> topics_;  // keys are the topics' names
    std::unordered_map<std::int64_t, Topic *> by_id_;
    std::unordered_set<Topic *> without_id_;
    static constexpr std::size_t kMostForeign = 65'536;
    std::unordered_set<std::int64_t> foreign_;  // ids that those without one have been, or are being, asked for
    bool settled_ = false;                      // nobody is being asked
    // By the stream's id, not in its topic: that is gone when the chunks found hold the end of the stream.
    struct Unannounced {
        std::string name;
        std::uint64_t chunks = 0;
        TimePoint due;
        std::uint64_t younger = 0;  // found later
        TimePoint younger_due;
    };
    std::unordered_map<std::int64_t, Unannounced> unannounced_;
    Queue verify_;
    Queue plain_;
    std::size_t size_ = 0;
    std::uint64_t batches_ = 0;
    std::uint32_t connection_ = 1;
};

}  // namespace rill::detail
