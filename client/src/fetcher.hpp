// The read connection: which query it runs next. One query at a time fetches what stands behind the cursors of all
// readers that are due. With nothing to fetch the connection may wait in the server for the first news
// (CALL stream_fetch_await): where LISTEN does not work, and beside it while few streams are followed and they are
// quiet, since a chunk comes sooner that way. Whatever else is to be fetched ends that wait.
//
// After each connect, in this order: every cursor is verified against this server's history (promise I8), everything
// behind it is read, and only then does the connection wait for a reader to be woken. A wake-up, a poll and a drained
// buffer all mean the same: "read after the cursor".
//
//   link   what is due                                           next
//   idle   a NOTIFY had ids of unknown streams                   their names, or a fetch for all streams without an id
//                                                                if the server refuses those (the link is busy)
//          readers are queued, or the poll is due                a fetch             (the link is busy)
//          LISTEN is to be tested                                a NOTIFY            (the link is busy)
//          nothing, and waiting is allowed and worth it          a wait in server    (the link is waiting)
//          nothing, but readers were passed over by NOTIFYs
//          during a wait that is not renewed                     they are queued
//   busy   the answer has come                                   idle
//   waiting
//          anything of that is due, or a reader that waits
//          was removed                                           the wait is ended, and answers
//   any    the connection is lost                                the batch goes back to the queue
//
// Situations it must survive: a connection lost with a query under way (what was not delivered is fetched again), one
// stream whose name the server rejects (found by halving, so that the others continue), a server that forbids or lacks
// the function, an extension that moves to another schema, streams so busy that waiting for each chunk would take the
// server's time from the writers.
// Loop thread only.
#pragma once

#include "batch.hpp"
#include "batch_size.hpp"
#include "counters.hpp"
#include "event_sink.hpp"
#include "link.hpp"
#include "listen_test.hpp"
#include "registry.hpp"
#include "rescues.hpp"
#include "rill/options.hpp"
#include "wait_policy.hpp"

#include <utility>

namespace rill::detail {

class Fetcher {
public:
    Fetcher(Link link, const Options &options, ListenTest &listen_test, Registry &registry, Rescues &rescues,
            Counters &counters, const EventSink &events)
        : link_(std::move(link)), options_(options), listen_test_(listen_test), registry_(registry), rescues_(rescues),
          counters_(counters), events_(events) {}

    [[nodiscard]] const Link &link() const noexcept { return link_; }
    [[nodiscard]] TimePoint wake_at() const noexcept;
    [[nodiscard]] bool first_connect_failed() const noexcept { return connect_failed_ && link_.connects() == 0; }

    // What the other connection knows.
    struct Wakeups {
        bool listening;  // LISTEN is in place
        bool silent;     // it is accepted, and nothing arrives
    };
    void advance(short revents, TimePoint now, const Wakeups &wakeups);
    // The poll is due: the next query fetches for every reader, and is sent even if there is none.
    void poll();
    // Sends the next query if there is a reason for one and the connection is free; else waits in the server, or not.
    void fetch(TimePoint now, const Wakeups &wakeups);
    // The poll has found what should have been announced, since the last call.
    [[nodiscard]] bool take_rescued() noexcept { return std::exchange(rescued_, false); }
    void try_now(TimePoint now) noexcept { link_.try_now(now); }

private:
    void connected();
    void lost(const Error &why, TimePoint now);
    void give_up(TimePoint now);
    void send_fetch(TimePoint now);
    void send_names(TimePoint now);
    void send_listen_test(TimePoint now);
    [[nodiscard]] bool may_wait(const Wakeups &wakeups) const noexcept;
    [[nodiscard]] bool wait(TimePoint now, const Wakeups &wakeups);
    void answered(TimePoint now, bool listening);
    void fetch_answered(const Result &rows, TimePoint now, bool listening);
    void names_answered(const Result &rows);
    void query_failed(const Error &error, TimePoint now);
    void report_rescues(TimePoint now);

    Link link_;
    const Options &options_;
    ListenTest &listen_test_;
    Registry &registry_;
    Rescues &rescues_;
    Counters &counters_;
    const EventSink &events_;

    enum class Query { fetch, names, listen_test };
    Query query_ = Query::fetch;  // under way, or the last one; a wait in the server counts as a fetch
    Batch batch_;                 // of that
    BatchSize batch_size_;
    bool catching_up_ = false;  // not everything has been read since the connect
    bool poll_due_ = false;

    WaitPolicy wait_policy_;
    TimePoint waiting_since_{};
    bool wait_ended_by_us_ = false;
    bool passed_over_ = false;  // NOTIFYs may have been, by readers that waited: see Registry::take_waiting()
    TimePoint wait_at_ = TimePoint::max();  // it would wait now, but for the policy

    bool rescued_ = false;
    int looks_ = 0;  // how often in a row the extension was not found, and its place was asked for again
    bool connect_failed_ = false;
    TimePoint give_up_at_ = TimePoint::max();
};

}  // namespace rill::detail
