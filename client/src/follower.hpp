// The read connection: one query at a time fetches what the looked-at streams have behind their cursors. With nothing
// to fetch it may wait in the server for the first news (CALL stream_fetch_await): where LISTEN does not work, and
// beside it while few streams are followed and they are quiet, since a chunk comes sooner that way. Whatever else is to
// be fetched ends that wait.
//
// After each connect, in this order: every cursor is verified against this server's history (promise I8), everything
// behind it is read, and only then does it wait for somebody to have streams looked at. A wake-up, a poll and a drained
// buffer all do the same: "read after the cursor". Situations it must survive: a connection that is lost with a query
// under way (what was not delivered is asked for again), one stream whose name the server cannot take (found by
// halving, so that the others go on), a server that forbids or lacks the function, answers that make no sense, streams
// so busy that waiting for each chunk would take the server's time from the writers. Loop thread only.
#pragma once

#include "counters.hpp"
#include "fetch_policy.hpp"
#include "link.hpp"
#include "registry.hpp"
#include "rill/options.hpp"

#include <span>
#include <vector>

namespace rill::detail {

class Follower {
public:
    Follower(Link link, const Options &options, Registry &registry, Counters &counters, const Teller &teller);

    [[nodiscard]] const Link &link() const noexcept { return link_; }
    [[nodiscard]] TimePoint wake_at() const noexcept;
    // An attempt to connect has failed, and none has succeeded yet.
    [[nodiscard]] bool failed_to_connect() const noexcept { return failed_once_ && !was_up_; }

    // `listening`: wake-ups should come, so what a poll finds first is worth telling.
    void advance(short revents, TimePoint now, bool listening);
    // The poll is due: the next query looks at every reader, and is sent even if there is none.
    void poll(TimePoint now);
    // Sends the next query if there is reason for one and the connection is free; else waits in the server, or not.
    void fetch(TimePoint now, bool listening);

    // A reader is new, or has room again.
    void admit(const std::shared_ptr<Subscription> &subscription);
    void readmit(Subscription &subscription);
    void forget(Subscription &subscription);

private:
    void start_over(TimePoint now);
    void lost(TimePoint now);
    void give_up(TimePoint now);
    void send(TimePoint now);
    [[nodiscard]] bool wait(TimePoint now, bool listening);
    void take_answer(TimePoint now, bool listening);
    void refused(const Error &error, TimePoint now);
    template <typename F>
    void each_rider(const Batch::Entry &entry, F &&function);
    [[nodiscard]] bool take_rows(const Result &rows, int row, int end, const FetchPolicy &policy, TimePoint now,
                                 bool listening);
    void settle(const Batch::Entry &entry, bool more);
    void fail(Subscription &subscription, const Error &error);
    void resumed(Subscription &subscription, const std::vector<Page> &pages, const PageSummary &summary, TimePoint now);
    void hand_out(Subscription &subscription, const std::vector<Page> &pages, const PageSummary &summary,
                  bool listening, TimePoint now);
    void look_twice(TimePoint now, const Subscription &subscription);
    void second_look(TimePoint now);

    Link link_;
    const Options &options_;
    Registry &registry_;
    Counters &counters_;
    const Teller &teller_;

    Batch batch_;
    WaitPolicy wait_policy_;
    TimePoint waiting_since_{};
    bool owed_look_ = false;                // to those who have just waited, unless they wait again
    bool end_asked_ = false;                // of the wait under way
    bool gone_ = false;                     // one that was waited for is no longer followed
    TimePoint wait_at_ = TimePoint::max();  // it would wait now, but for the policy
    BatchSize batch_size_;
    std::uint64_t total_chunks_ = 0;  // of the answer being taken
    std::uint64_t total_cost_ = 0;
    std::uint64_t pages_ = 0;

    bool was_up_ = false;
    bool up_ = false;
    bool failed_once_ = false;
    bool catching_up_ = false;  // since the connect, not everything has been read yet
    bool poll_due_ = false;
    TimePoint give_up_at_ = TimePoint::max();

    // What looked quiet is looked at once more a second later: a large chunk may have been left out, and chunks that
    // only a poll found may have been announced by then.
    TimePoint second_look_at_ = TimePoint::max();
    std::vector<std::string> second_look_;
};

}  // namespace rill::detail
