// The registry (who is looked at next) and the subscription (what a reader and the loop share), without a server.
#include "mailbox.hpp"
#include "registry.hpp"
#include "subscription.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

using namespace rill::detail;
using rill::Position;

namespace {

constexpr Bounds kRoomy{1000, 1 << 20};

struct Fixture {
    std::shared_ptr<Mailbox> mailbox = std::make_shared<Mailbox>();
    Registry registry;
    Batch batch;

    // What is posted and never taken holds the mailbox that holds it; a client's loop takes everything in the end.
    ~Fixture() {
        mailbox->shut();
        while (mailbox->take()) {
        }
    }

    std::shared_ptr<Subscription> make(const std::string &stream, Position start = {}, Bounds bounds = kRoomy) {
        return std::make_shared<Subscription>(stream, start, mailbox, bounds);
    }
    // Registered, and past its first look.
    std::shared_ptr<Subscription> follow(const std::string &stream, Position start = {}) {
        auto subscription = make(stream, start);
        subscription->loop.resume = false;
        registry.add(subscription);
        registry.set_verified(*subscription);
        return subscription;
    }
    std::vector<std::string> take(std::size_t limit = 1000) {
        registry.take(batch, limit);
        std::vector<std::string> names;
        for (const auto &entry : batch.entries)
            names.push_back(*entry.name + "@" + std::to_string(entry.from.id));
        return names;
    }
    void land(bool more = false) {
        for (const auto &rider : batch.riders)
            registry.landed(*rider, more);
        batch.clear();
    }
};

using Names = std::vector<std::string>;

// One chunk of epoch 0 and at time 0, and as many behind it with the same data.
Page page_of(int chunks, const std::string &data) {
    std::string bytes = "\1" + std::string(1, static_cast<char>(chunks));
    for (int i = 0; i < chunks; ++i) {
        bytes += std::string(i == 0 ? "\2\1" : "\0\1", 2);
        bytes += std::string(i == 0 ? 5 : 1, '\0');
        bytes += static_cast<char>(data.size()) + data;
    }
    auto copy = std::make_shared<std::byte[]>(bytes.size());
    std::memcpy(copy.get(), bytes.data(), bytes.size());
    return {std::move(copy), bytes.size(), static_cast<std::uint64_t>(chunks)};
}

// One chunk a page, of epoch 0 and at time 0.
Page page(std::int64_t id, const std::string &data, bool eof = false) {
    std::string bytes = "\1\1";
    bytes += static_cast<char>(eof ? 3 : 2);
    bytes += static_cast<char>(id);
    bytes += std::string(5, '\0');
    bytes += static_cast<char>(data.size()) + data;
    auto copy = std::make_shared<std::byte[]>(bytes.size());
    std::memcpy(copy.get(), bytes.data(), bytes.size());
    return {std::move(copy), bytes.size(), 1};
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a batch has a stream once, with everybody who stands at the same cursor") {
    const auto a = follow("s");
    const auto b = follow("s");
    const auto c = follow("s", {5, 1});
    const auto d = follow("t");
    registry.wake_all(kPoll);
    Names names = take();
    std::sort(names.begin(), names.end());
    CHECK(names.size() == 2);
    CHECK(names[1] == "t@0");
    const std::size_t first_riders = batch.riders.size();
    land();
    const Names rest = take();
    CHECK(rest.size() == 1);
    CHECK(first_riders + batch.riders.size() == 4);
    CHECK(rest[0] != names[0]);
    land();
    CHECK_FALSE(registry.has_work());
}

TEST_CASE_FIXTURE(Fixture, "a wake-up while the query is under way causes another look") {
    const auto a = follow("s");
    registry.wake(*a, kNotify);
    CHECK(take() == Names{"s@0"});
    registry.wake(*a, kNotify);
    CHECK_FALSE(registry.has_work());
    land();
    CHECK(take() == Names{"s@0"});
    land();
    CHECK_FALSE(registry.has_work());
}

TEST_CASE_FIXTURE(Fixture, "wake-ups for one stream are merged") {
    const auto a = follow("s");
    registry.learn_id(*a->loop.topic, 12);
    for (int i = 0; i < 3; ++i)
        registry.wake_id(12, kNotify);
    CHECK(take() == Names{"s@0"});
    land();
    CHECK_FALSE(registry.has_work());
}

TEST_CASE_FIXTURE(Fixture, "an id that nobody follows wakes only those whose stream has no id yet") {
    const auto known = follow("known");
    const auto unborn = follow("unborn");
    registry.learn_id(*known->loop.topic, 12);
    registry.wake_id(99, kNotify);
    CHECK(take() == Names{"unborn@0"});
    land();
    registry.learn_id(*unborn->loop.topic, 99);
    registry.wake_id(98, kNotify);
    CHECK_FALSE(registry.has_work());
    registry.wake_id(99, kNotify);
    CHECK(take() == Names{"unborn@0"});
}

TEST_CASE_FIXTURE(Fixture, "an id that is none of ours is asked for once") {
    const auto unborn = follow("unborn");
    registry.settle();
    registry.wake_id(99, kNotify);
    CHECK(take() == Names{"unborn@0"});
    CHECK(batch.verify);
    // While the query is under way the stream may have come to be after its snapshot: asked again, and verifying.
    registry.wake_id(99, kNotify);
    registry.set_verified(*unborn);
    land();
    CHECK(take() == Names{"unborn@0"});
    CHECK(batch.verify);
    registry.set_verified(*unborn);
    land();
    CHECK_FALSE(registry.has_work());
    registry.settle();
    registry.wake_id(99, kNotify);
    CHECK_FALSE(registry.has_work());
    registry.wake_id(98, kNotify);
    CHECK(take() == Names{"unborn@0"});
    registry.set_verified(*unborn);
    land();
    registry.settle();
    // A new reader makes everything be asked for again until it is through.
    const auto other = follow("other");
    registry.set_doubted(*other);
    registry.wake(*other, kCatchUp);
    registry.wake_id(99, kNotify);
    CHECK(take() == Names{"other@0", "unborn@0"});
    // Another server may have other ids.
    registry.start_over(batch);
    registry.wake_id(99, kNotify);
    CHECK(registry.has_work());
}

TEST_CASE_FIXTURE(Fixture,
                  "who waits in the server is not asked for because of a NOTIFY, but because of anything else") {
    const auto known = follow("known");
    const auto unborn = follow("unborn");
    registry.learn_id(*known->loop.topic, 12);
    REQUIRE(registry.take_waiting(batch, 100));
    CHECK(batch.waiting);
    CHECK(batch.entries.size() == 2);
    registry.wake_id(12, kNotify);
    registry.wake_id(99, kNotify);
    registry.wake_all(kNotify);
    CHECK(registry.verified(*unborn));
    CHECK_FALSE(registry.has_work());
    const auto late = follow("known");
    registry.wake(*late, kCatchUp);
    CHECK(registry.has_work());
    registry.wake(*known, kPoll);
    land();
    CHECK(take() == Names{"known@0"});
    CHECK(batch.riders.size() == 2);
    land();
    // Who is looked at anyway does not wait.
    registry.wake(*known, kNotify);
    REQUIRE(registry.take_waiting(batch, 100));
    CHECK(batch.riders.size() == 2);
    CHECK_FALSE(known->loop.waiting);
    CHECK(take() == Names{"known@0"});
    land();
    // What was passed over is not forgotten with it: an id that came while all waited is asked for later.
    for (const auto &subscription : {known, unborn, late})
        registry.landed(*subscription, false);
    registry.settle();
    registry.wake_id(99, kNotify);
    CHECK(take() == Names{"unborn@0"});
}

TEST_CASE_FIXTURE(Fixture, "of several cursors of a stream the one furthest behind waits") {
    const auto ahead = follow("s", {5, 7});
    const auto behind = follow("s", {4, 7});
    const auto too = follow("s", {4, 7});
    REQUIRE(registry.take_waiting(batch, 100));
    REQUIRE(batch.entries.size() == 1);
    CHECK(batch.entries[0].from.id == 4);
    CHECK(batch.riders.size() == 2);
    CHECK_FALSE(ahead->loop.waiting);
    land();
    behind->loop.cursor = too->loop.cursor = {6, 7};
    REQUIRE(registry.take_waiting(batch, 100));
    CHECK(batch.entries[0].from.id == 5);
    CHECK(ahead->loop.waiting);
}

TEST_CASE_FIXTURE(Fixture, "only cursors that are verified and have room wait, each stream once, up to the limit") {
    const auto a = follow("s");
    const auto b = follow("s");
    const auto elsewhere = follow("s", {5, {}});
    const auto doubted = follow("doubted");
    registry.set_doubted(*doubted);
    const auto full = follow("full");
    full->loop.saturated = true;
    const auto resuming = follow("resuming");
    resuming->loop.resume = true;
    REQUIRE(registry.take_waiting(batch, 100));
    REQUIRE(batch.entries.size() == 1);
    CHECK(batch.entries[0].from.id == 0);
    CHECK(batch.riders.size() == 2);
    CHECK_FALSE(elsewhere->loop.waiting);
    registry.put_back(batch);
    CHECK_FALSE(a->loop.waiting);
    CHECK(take() == Names{"s@0"});
    land();
    for (int i = 0; i < 20; ++i)
        (void) follow("more" + std::to_string(i));
    REQUIRE(registry.take_waiting(batch, 10));
    CHECK(batch.entries.size() == 10);
    registry.start_over(batch);
    CHECK_FALSE(b->loop.waiting);
}

TEST_CASE_FIXTURE(Fixture, "a chunk that a poll found is rescued if no wake-up tells of it in time, the last one too") {
    using namespace std::chrono_literals;
    const Registry::TimePoint start{};
    std::vector<std::string> told;
    const auto look = [&](Registry::TimePoint now) {
        told.clear();
        return registry.each_rescued(now, [&](const std::string &name, std::uint64_t chunks) {
            told.push_back(name + ":" + std::to_string(chunks));
        });
    };
    const auto a = follow("a");
    const auto b = follow("b");
    registry.learn_id(*a->loop.topic, 1);
    registry.learn_id(*b->loop.topic, 2);
    registry.found_by_poll(*a->loop.topic, 3, start + 10s);
    registry.found_by_poll(*b->loop.topic, 5, start + 10s);
    registry.remove(*b);  // it has ended
    CHECK(look(start + 9s) == start + 10s);
    CHECK(told.empty());
    registry.wake_id(2, kNotify);
    registry.found_by_poll(*a->loop.topic, 4, start + 12s);
    CHECK(look(start + 10s) == start + 12s);
    CHECK(told == Names{"a:3"});
    CHECK(look(start + 12s) == Registry::TimePoint::max());
    CHECK(told == Names{"a:4"});
    registry.found_by_poll(*a->loop.topic, 1, start + 20s);
    registry.remove(*a);
    (void) look(start + 20s);
    CHECK(told == Names{"a:1"});
    const auto c = follow("c");
    registry.learn_id(*c->loop.topic, 3);
    registry.found_by_poll(*c->loop.topic, 1, start + 30s);
    registry.announce_all();
    (void) look(start + 30s);
    CHECK(told.empty());
}

TEST_CASE_FIXTURE(Fixture, "a reader that stops while its query is under way is gone, and so is its stream") {
    auto a = follow("s");
    registry.wake(*a, kNotify);
    (void) take();
    registry.remove(*a);
    CHECK(registry.size() == 0);
    registry.landed(*a, true);
    CHECK_FALSE(registry.has_work());
    registry.wake_all(kPoll);
    CHECK_FALSE(registry.has_work());
}

TEST_CASE_FIXTURE(Fixture, "readers leave in any order") {
    std::vector<std::shared_ptr<Subscription>> all;
    for (int i = 0; i < 20; ++i)
        all.push_back(follow("s"));
    for (const std::size_t i : {7U, 0U, 19U, 3U, 18U})
        registry.remove(*all[i]);
    CHECK(registry.size() == 15);
    registry.wake_all(kPoll);
    (void) take();
    CHECK(batch.riders.size() == 15);
}

TEST_CASE_FIXTURE(Fixture, "after a reconnect everybody is verified, apart from the rest and before it") {
    const auto a = follow("a");
    const auto b = follow("b", {3, 9});
    registry.wake(*a, kNotify);
    (void) take();
    registry.start_over(batch);
    CHECK(take().size() == 2);
    CHECK(batch.verify);
    for (const auto &rider : batch.riders)
        registry.set_verified(*rider);
    land();
    registry.wake(*a, kNotify);
    const auto c = make("c");
    registry.add(c);
    registry.wake(*c, kCatchUp);
    CHECK(take() == Names{"c@0"});
    CHECK(batch.verify);
    land();
    CHECK(take() == Names{"a@0"});
    CHECK_FALSE(batch.verify);
}

TEST_CASE_FIXTURE(Fixture, "a limited batch leaves the rest in its order, and a failed one goes back to the front") {
    const auto a = follow("a");
    const auto b = follow("b");
    const auto c = follow("c");
    for (const auto &each : {a, b, c})
        registry.wake(*each, kNotify);
    CHECK(take(2) == Names{"a@0", "b@0"});
    registry.put_back(batch);
    CHECK(take(1) == Names{"a@0"});
    land();
    CHECK(take(5) == Names{"b@0", "c@0"});
}

TEST_CASE_FIXTURE(Fixture, "whoever resumes looks at the chunk under the cursor first") {
    const auto a = make("s", {7, std::nullopt});
    registry.add(a);
    registry.wake(*a, kCatchUp);
    CHECK(take() == Names{"s@6"});
    CHECK(batch.entries[0].resume);
}

TEST_CASE_FIXTURE(Fixture, "a full buffer stays full until half of it was taken") {
    const auto a = make("s", {}, {4, 1 << 20});
    for (std::int64_t id = 1; id <= 4; ++id) {
        CHECK_FALSE(a->full());
        CHECK(a->deliver(page(id, "x")));
    }
    CHECK(a->full());
    CHECK(a->next(nullptr)->id == 1);
    CHECK(a->full());
    CHECK(mailbox->take() == nullptr);
    CHECK(a->next(nullptr)->id == 2);
    CHECK_FALSE(a->full());
    CHECK(mailbox->take() == a);
}

TEST_CASE_FIXTURE(Fixture, "an EOF with data is handed out, one without is not, and both end it") {
    const auto with = make("s");
    with->deliver(page(1, "last", true));
    const auto chunk = with->next(nullptr);
    REQUIRE(chunk);
    CHECK(chunk->eof);
    CHECK(chunk->text() == "last");
    CHECK(with->ended());
    CHECK_FALSE(with->next(nullptr));

    const auto without = make("s");
    without->deliver(page(1, "", true));
    CHECK_FALSE(without->ended());
    CHECK_FALSE(without->next(nullptr));
    CHECK(without->ended());
    CHECK(without->position().id == 1);
}

TEST_CASE_FIXTURE(Fixture, "chunks at or before the cursor are not handed out again") {
    const auto a = make("s", {3, std::nullopt});
    a->deliver(page(3, "seen"));
    a->deliver(page(4, "new"));
    CHECK(a->next(nullptr)->id == 4);
    CHECK(a->position().id == 4);
}

TEST_CASE_FIXTURE(Fixture, "a chunk keeps its bytes when everything else is gone") {
    auto a = make("s");
    a->deliver(page(1, "kept"));
    const auto chunk = a->next(nullptr);
    a->stop();
    (void) mailbox->take();
    a.reset();
    CHECK(chunk->text() == "kept");
}

TEST_CASE_FIXTURE(Fixture, "stopping ends a pending next() with nothing, closing with Closed") {
    const auto stopped = make("s");
    std::thread stopper([&] { stopped->stop(); });
    CHECK_FALSE(stopped->next(nullptr));
    CHECK_FALSE(stopped->ended());
    CHECK(stopped->stopped());
    stopper.join();
    stopped->stop();
    CHECK_FALSE(stopped->deliver(page(1, "late")));

    const auto closed = make("s");
    closed->deliver(page(1, "x"));
    std::thread closer([&] { closed->client_closed(); });
    CHECK_THROWS_AS(
        [&] {
            while (closed->next(nullptr)) {
            }
        }(),
        rill::Closed);
    closer.join();
    CHECK_THROWS_AS((void) closed->next(nullptr), rill::Closed);
}

TEST_CASE_FIXTURE(Fixture, "chunks from before an error come before the error, which stays") {
    const auto a = make("s");
    a->deliver(page(1, "x"));
    a->fail(rill::Error("gone", {.sqlstate = "RL002"}));
    CHECK(a->next(nullptr)->id == 1);
    for (int i = 0; i < 2; ++i) {
        try {
            (void) a->next(nullptr);
            FAIL("no error");
        } catch (const rill::Error &error) {
            CHECK(error.sqlstate() == "RL002");
        }
    }
}

TEST_CASE_FIXTURE(Fixture, "on_ready announces what is left of a page that next() has begun, and the end") {
    std::atomic<std::uint64_t> errors{0};
    int calls = 0;
    const auto a = make("s");
    const auto announced = [&] {
        const int before = calls;
        a->on_ready([&] { ++calls; });
        while (mailbox->take())
            a->poke(errors);
        return calls > before;
    };
    CHECK_FALSE(announced());
    a->deliver(page_of(2, "x"));
    CHECK(announced());
    CHECK(a->next(nullptr)->id == 1);
    CHECK(announced());
    const auto now = std::chrono::steady_clock::now();
    CHECK(a->next(&now)->id == 2);
    CHECK_FALSE(a->next(&now));
    CHECK_FALSE(announced());
    // What ends the stream may be in the same page.
    a->deliver(page(3, "", true));
    CHECK_FALSE(a->next(&now));
    CHECK(a->ended());
    CHECK(announced());
}

TEST_CASE_FIXTURE(Fixture, "a post after the loop has ended closes the reader on the spot") {
    const auto a = make("s");
    mailbox->shut();
    mailbox->post(a);
    CHECK_THROWS_AS((void) a->next(nullptr), rill::Closed);
}

TEST_CASE_FIXTURE(Fixture, "posts are merged and taken in their order") {
    const auto a = make("a");
    const auto b = make("b");
    mailbox->post(a);
    mailbox->post(b);
    mailbox->post(a);
    CHECK(mailbox->take() == a);
    mailbox->post(a);
    CHECK(mailbox->take() == b);
    CHECK(mailbox->take() == a);
    CHECK(mailbox->take() == nullptr);
}

TEST_CASE("an idle followed stream costs well below a kilobyte") { CHECK(sizeof(Subscription) + sizeof(Topic) < 640); }
