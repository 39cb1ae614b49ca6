// Which readers are fetched for next, without a server.
#include "registry.hpp"
#include "subscriptions.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <vector>

using namespace rill::detail;
using namespace rill::test;
using rill::Position;
using Names = std::vector<std::string>;

namespace {

struct Fixture : Subscriptions {
    Registry registry;
    FetchQueue &queue = registry.queue();
    Batch batch;

    // Registered, its cursor verified.
    std::shared_ptr<Subscription> follow(const std::string &stream, Position start = {}) {
        auto subscription = make(stream, start);
        registry.add(subscription);
        subscription->state.set_verified();
        return subscription;
    }
    Names take(std::size_t limit = 1000) {
        queue.take(batch, limit);
        Names names;
        for (const auto &entry : batch.entries)
            names.push_back(*entry.name + "@" + std::to_string(entry.from.id));
        return names;
    }
    void finish(bool more = false) {
        for (const auto &waiter : batch.waiters)
            (void) queue.finish(*waiter.reader, more);
        batch.clear();
    }
    void verify_and_finish() {
        for (const auto &waiter : batch.waiters)
            waiter.reader->state.set_verified();
        finish();
    }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a batch has each stream once, with all readers at the same cursor") {
    const auto a = follow("s");
    const auto b = follow("s");
    const auto c = follow("s", {5, 1});
    const auto d = follow("t");
    registry.wake_all(kPoll);
    Names names = take();
    std::sort(names.begin(), names.end());
    CHECK(names.size() == 2);
    CHECK(names[1] == "t@0");
    std::size_t waiters = 0;
    for (const auto &entry : batch.entries)
        batch.each_waiter(entry, [&](Subscription &reader) {
            ++waiters;
            CHECK(reader.stream() == *entry.name);
            CHECK(reader.state.cursor() == entry.from);
        });
    CHECK(waiters == batch.waiters.size());
    finish();
    const Names rest = take();
    CHECK(rest.size() == 1);
    CHECK(waiters + batch.waiters.size() == 4);
    CHECK(rest[0] != names[0]);
    finish();
    CHECK(queue.empty());
}

TEST_CASE_FIXTURE(Fixture, "a wake-up while the query is under way causes another fetch") {
    const auto a = follow("s");
    queue.wake(*a, kNotify);
    CHECK(take() == Names{"s@0"});
    queue.wake(*a, kNotify);
    CHECK(queue.empty());
    finish();
    CHECK(take() == Names{"s@0"});
    finish();
    CHECK(queue.empty());
}

TEST_CASE_FIXTURE(Fixture, "wake-ups for one stream are merged") {
    const auto a = follow("s");
    registry.set_id(*a->state.stream(), 12);
    for (int i = 0; i < 3; ++i)
        registry.wake_id(12, kNotify);
    CHECK(take() == Names{"s@0"});
    finish();
    CHECK(queue.empty());
}

TEST_CASE_FIXTURE(Fixture, "the name of an unknown id is asked for once, and wakes whoever follows the stream") {
    using Ids = std::vector<std::int64_t>;
    const auto missing = follow("missing");
    const auto other = follow("other");
    registry.wake_id(99, kNotify);
    registry.wake_id(99, kNotify);
    CHECK(queue.empty());
    CHECK(registry.has_unknown_ids());
    CHECK(registry.take_unknown_ids() == Ids{99});
    CHECK_FALSE(registry.has_unknown_ids());
    // Not ours, or hidden: it is not asked for again.
    registry.named(99, "somebody's", kNotify);
    registry.wake_id(99, kNotify);
    CHECK_FALSE(registry.has_unknown_ids());
    CHECK(queue.empty());
    registry.wake_id(98, kNotify);
    CHECK(registry.take_unknown_ids() == Ids{98});
    registry.named(98, "missing", kNotify);
    CHECK(take() == Names{"missing@0"});
    finish();
    registry.wake_id(98, kNotify);
    CHECK(take() == Names{"missing@0"});
    finish();
    // A stream that is followed later has its id from its first answer.
    const auto late = follow("late");
    registry.set_id(*late->state.stream(), 99);
    registry.wake_id(99, kNotify);
    CHECK(take() == Names{"late@0"});
    finish();
    // Another server may have other ids.
    registry.start_over(batch);
    CHECK(take().size() == 3);
    finish();
    registry.wake_id(97, kNotify);
    CHECK(registry.take_unknown_ids() == Ids{97});
    // When every stream has an id, an unknown one is nobody's.
    registry.set_id(*other->state.stream(), 12);
    registry.wake_id(96, kNotify);
    CHECK_FALSE(registry.has_unknown_ids());
}

TEST_CASE_FIXTURE(Fixture, "no queue waits forever for those in front of it, however busy these are") {
    const auto polled = follow("polled");
    const auto busy = follow("busy");
    const auto bystander = follow("bystander");
    const auto turns = [&](bool new_readers) {
        std::set<std::string> had_turn;
        for (int query = 0; query < 12; ++query) {
            std::shared_ptr<Subscription> made;
            if (new_readers) {  // each with a cursor to be verified
                made = make("new");
                registry.add(made);
                queue.wake(*made, kCatchUp);
            }
            for (const auto &name : take())
                had_turn.insert(name);
            CHECK((!batch.verify || !new_readers || batch.entries.size() == 1));
            queue.wake(*busy, kNotify);  // while its query is under way, and while it is queued
            finish();
            if (made != nullptr)
                registry.remove(*made);
        }
        return had_turn;
    };
    queue.wake(*polled, kPoll);
    queue.wake(*busy, kNotify);
    CHECK(turns(false) == std::set<std::string>{"busy@0", "polled@0"});
    queue.wake(*polled, kPoll);
    queue.wake(*bystander, kNotify);
    CHECK(turns(true) == std::set<std::string>{"busy@0", "bystander@0", "new@0", "polled@0"});
}

TEST_CASE_FIXTURE(Fixture, "a cursor that is doubted while its reader is queued is verified") {
    const auto a = follow("a");
    const auto b = follow("b");
    queue.wake(*a, kNotify);
    queue.wake(*b, kPoll);
    registry.doubt_without_id(kNotify);
    CHECK(take() == Names{"b@0"});
    CHECK(batch.verify);
    verify_and_finish();
    CHECK(take() == Names{"a@0"});
    CHECK(batch.verify);
    verify_and_finish();
    CHECK(take().empty());
}

TEST_CASE_FIXTURE(Fixture, "what only the poll asks for goes last, in slices, and what is announced overtakes it") {
    const auto quiet = follow("quiet");
    const auto news = follow("news");
    registry.set_id(*news->state.stream(), 12);
    registry.wake_all(kPoll);
    registry.wake_id(12, kNotify);
    registry.wake_id(12, kNotify);
    CHECK(take() == Names{"news@0"});
    finish();
    CHECK(take() == Names{"quiet@0"});
    finish();
    CHECK(queue.empty());
    // One that has had its turn, and is due again, is fetched for once.
    registry.wake_all(kPoll);
    registry.wake_id(12, kNotify);
    CHECK(take() == Names{"news@0"});
    registry.wake_id(12, kNotify);
    finish();
    CHECK(take() == Names{"news@0"});
    finish();
    CHECK(take() == Names{"quiet@0"});
    finish();
    CHECK(take().empty());
    CHECK(queue.empty());

    std::vector<std::shared_ptr<Subscription>> many;
    for (int i = 0; i < 5'000; ++i)
        many.push_back(follow("many-" + std::to_string(i)));
    registry.wake_all(kPoll);
    std::size_t polled = 0;
    for (int slices = 1; !queue.empty(); ++slices) {
        REQUIRE(slices < 10);
        registry.wake_id(12, kNotify);
        if (slices == 1)
            CHECK(take() == Names{"news@0"});
        else
            CHECK(take().front() == "news@0");
        finish();
        queue.take(batch, 10'000);
        CHECK(batch.entries.size() < 3'000);
        polled += batch.entries.size();
        finish();
    }
    CHECK(polled == 5'001);
}

TEST_CASE_FIXTURE(Fixture, "a reader that waits in the server is woken by anything but NOTIFY") {
    const auto known = follow("known");
    const auto missing = follow("missing");
    registry.set_id(*known->state.stream(), 12);
    REQUIRE(registry.take_waiting(batch, 100));
    CHECK(batch.waiting);
    CHECK(batch.entries.size() == 2);
    registry.wake_id(12, kNotify);
    registry.wake_id(99, kNotify);
    registry.wake_all(kNotify);
    CHECK(missing->state.verified());
    CHECK(queue.empty());
    const auto late = follow("known");
    queue.wake(*late, kCatchUp);
    CHECK_FALSE(queue.empty());
    queue.wake(*known, kPoll);
    finish();
    CHECK(take() == Names{"known@0"});
    CHECK(batch.waiters.size() == 2);
    finish();
    // A reader that is fetched for does not wait.
    queue.wake(*known, kNotify);
    REQUIRE(registry.take_waiting(batch, 100));
    CHECK(batch.waiters.size() == 2);
    CHECK_FALSE(known->state.waiting());
    finish();
    CHECK(take() == Names{"known@0"});
    finish();
    // An id that was ignored while all readers waited is asked for when it comes again.
    registry.wake_id(99, kNotify);
    CHECK(registry.has_unknown_ids());
}

TEST_CASE_FIXTURE(Fixture, "removing a reader that waits in the server is noticed, until the next wait") {
    const auto a = follow("a");
    const auto b = follow("b");
    registry.remove(*a);
    CHECK_FALSE(registry.waiting_reader_removed());
    REQUIRE(registry.take_waiting(batch, 100));
    registry.remove(*b);
    CHECK(registry.waiting_reader_removed());
    const auto c = follow("c");
    REQUIRE(registry.take_waiting(batch, 100));
    CHECK_FALSE(registry.waiting_reader_removed());
}

TEST_CASE_FIXTURE(Fixture, "of several cursors of a stream, the one furthest behind waits") {
    const auto ahead = follow("s", {5, 7});
    const auto behind = follow("s", {4, 7});
    const auto too = follow("s", {4, 7});
    REQUIRE(registry.take_waiting(batch, 100));
    REQUIRE(batch.entries.size() == 1);
    CHECK(batch.entries[0].from.id == 4);
    CHECK(batch.waiters.size() == 2);
    CHECK_FALSE(ahead->state.waiting());
    finish();
    behind->state.move_cursor({6, 7});
    too->state.move_cursor({6, 7});
    REQUIRE(registry.take_waiting(batch, 100));
    CHECK(batch.entries[0].from.id == 5);
    CHECK(ahead->state.waiting());
}

TEST_CASE_FIXTURE(Fixture, "only verified cursors with room wait, each stream once, up to the limit") {
    const auto a = follow("s");
    const auto b = follow("s");
    const auto elsewhere = follow("s", {5, {}});
    const auto doubted = follow("doubted");
    doubted->state.doubt();
    const auto full = follow("full");
    queue.wake(*full, kPoll);
    (void) take();
    full->state.fill();
    finish();
    const auto resuming = make("resuming", {5, {}});
    registry.add(resuming);
    REQUIRE(registry.take_waiting(batch, 100));
    REQUIRE(batch.entries.size() == 1);
    CHECK(batch.entries[0].from.id == 0);
    CHECK(batch.waiters.size() == 2);
    CHECK_FALSE(elsewhere->state.waiting());
    queue.put_back(batch);
    CHECK_FALSE(a->state.waiting());
    CHECK(take() == Names{"s@0"});
    finish();
    for (int i = 0; i < 20; ++i)
        (void) follow("more" + std::to_string(i));
    REQUIRE(registry.take_waiting(batch, 10));
    CHECK(batch.entries.size() == 10);
    registry.start_over(batch);
    CHECK_FALSE(b->state.waiting());
}

TEST_CASE_FIXTURE(Fixture, "a reader stopped while its query is under way is gone, and so is its stream") {
    auto a = follow("s");
    queue.wake(*a, kNotify);
    (void) take();
    registry.remove(*a);
    CHECK(registry.size() == 0);
    CHECK(registry.streams() == 0);
    (void) queue.finish(*a, true);
    CHECK(queue.empty());
    registry.wake_all(kPoll);
    CHECK(queue.empty());
}

TEST_CASE_FIXTURE(Fixture, "a reader stopped while it is queued is not fetched for") {
    auto a = follow("s");
    auto b = follow("t");
    registry.wake_all(kPoll);
    registry.remove(*a);
    CHECK(take() == Names{"t@0"});
    finish();
    CHECK(queue.empty());
}

TEST_CASE_FIXTURE(Fixture, "readers can leave in any order") {
    std::vector<std::shared_ptr<Subscription>> all;
    for (int i = 0; i < 20; ++i)
        all.push_back(follow("s"));
    for (const std::size_t i : {7U, 0U, 19U, 3U, 18U})
        registry.remove(*all[i]);
    CHECK(registry.size() == 15);
    registry.wake_all(kPoll);
    (void) take();
    CHECK(batch.waiters.size() == 15);
}

TEST_CASE_FIXTURE(Fixture, "after a reconnect all cursors are verified, before other fetches and apart from them") {
    const auto a = follow("a");
    const auto b = follow("b", {3, 9});
    queue.wake(*a, kNotify);
    (void) take();
    registry.start_over(batch);
    CHECK(take().size() == 2);
    CHECK(batch.verify);
    verify_and_finish();
    queue.wake(*a, kNotify);
    const auto c = make("c");
    registry.add(c);
    queue.wake(*c, kCatchUp);
    CHECK(take() == Names{"c@0"});
    CHECK(batch.verify);
    finish();
    CHECK(take() == Names{"a@0"});
    CHECK_FALSE(batch.verify);
}

TEST_CASE_FIXTURE(Fixture, "a limited batch leaves the rest in order, and a failed one goes back to the front") {
    const auto a = follow("a");
    const auto b = follow("b");
    const auto c = follow("c");
    for (const auto &each : {a, b, c})
        queue.wake(*each, kNotify);
    CHECK(take(2) == Names{"a@0", "b@0"});
    queue.put_back(batch);
    CHECK(take(1) == Names{"a@0"});
    finish();
    CHECK(take(5) == Names{"b@0", "c@0"});
}

TEST_CASE_FIXTURE(Fixture, "a batch that fails half applied puts back only the readers that still wait for it") {
    const auto a = follow("a");
    const auto b = follow("b");
    registry.wake_all(kPoll);
    (void) take();
    (void) queue.finish(*a, true);
    queue.put_back(batch);
    Names names = take();
    std::sort(names.begin(), names.end());
    CHECK(names == Names{"a@0", "b@0"});
    CHECK(batch.waiters.size() == 2);
}

TEST_CASE_FIXTURE(Fixture, "a resuming reader fetches the chunk at its cursor first") {
    const auto a = make("s", {7, std::nullopt});
    registry.add(a);
    queue.wake(*a, kCatchUp);
    CHECK(take() == Names{"s@6"});
    CHECK(batch.entries[0].resuming);
}
