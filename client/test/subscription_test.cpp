// What a Reader and the background loop share, and the mailbox between them, without a server.
#include "followed_stream.hpp"
#include "subscriptions.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <thread>

using namespace rill::detail;
using namespace rill::test;

TEST_CASE_FIXTURE(Subscriptions, "a full buffer stays full until half of it has been taken") {
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

TEST_CASE_FIXTURE(Subscriptions, "an EOF with data is returned, one without is not, and both end the reader") {
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

TEST_CASE_FIXTURE(Subscriptions, "chunks at or before the cursor are not returned again") {
    const auto a = make("s", {3, std::nullopt});
    a->deliver(page(3, "seen"));
    a->deliver(page(4, "new"));
    CHECK(a->next(nullptr)->id == 4);
    CHECK(a->position().id == 4);
}

TEST_CASE_FIXTURE(Subscriptions, "a chunk keeps its bytes alive when everything else is gone") {
    auto a = make("s");
    a->deliver(page(1, "kept"));
    const auto chunk = a->next(nullptr);
    a->stop();
    (void) mailbox->take();
    a.reset();
    CHECK(chunk->text() == "kept");
}

TEST_CASE_FIXTURE(Subscriptions, "stopping ends a pending next() with nothing, closing ends it with Closed") {
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

TEST_CASE_FIXTURE(Subscriptions, "chunks from before an error come before the error, which stays") {
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

TEST_CASE_FIXTURE(Subscriptions, "on_ready announces what is left of a partly read page, and the end") {
    std::atomic<std::uint64_t> errors{0};
    int calls = 0;
    const auto a = make("s");
    const auto announced = [&] {
        const int before = calls;
        a->on_ready([&] { ++calls; });
        while (mailbox->take())
            a->notify_ready(errors);
        return calls > before;
    };
    CHECK_FALSE(announced());
    a->deliver(page_of(2, 1, "x"));
    CHECK(announced());
    CHECK(a->next(nullptr)->id == 1);
    CHECK(announced());
    const auto now = std::chrono::steady_clock::now();
    CHECK(a->next(&now)->id == 2);
    CHECK_FALSE(a->next(&now));
    CHECK_FALSE(announced());
    // The end may be in the page that next() has returned a chunk of.
    a->deliver(page(3, "", true));
    CHECK_FALSE(a->next(&now));
    CHECK(a->ended());
    CHECK(announced());
}

TEST_CASE_FIXTURE(Subscriptions, "a post after the loop has ended closes the reader at once") {
    const auto a = make("s");
    mailbox->close();
    mailbox->post(a);
    CHECK_THROWS_AS((void) a->next(nullptr), rill::Closed);
}

TEST_CASE_FIXTURE(Subscriptions, "once the loop has ended, only setting on_ready calls it, and only then") {
    int calls = 0;
    const auto a = make("s");
    a->on_ready([&] { ++calls; });
    while (mailbox->take()) {
    }
    mailbox->close();
    SUBCASE("stopped before the loop has closed it") {
        a->stop();
        CHECK(calls == 0);
    }
    SUBCASE("stopped afterwards") {
        a->client_closed();
        CHECK(calls == 1);
        a->stop();
        CHECK(calls == 1);
    }
    SUBCASE("posted by its consumer before the loop has closed it") {
        mailbox->post(a);
        CHECK(calls == 0);
        a->client_closed();
        CHECK(calls == 1);
    }
    const int before = calls;
    a->on_ready([&] { ++calls; });
    CHECK(calls == before + 1);
}

TEST_CASE_FIXTURE(Subscriptions, "posts are merged and taken in order") {
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

TEST_CASE("an idle followed stream costs well below a kilobyte") {
    CHECK(sizeof(Subscription) + sizeof(FollowedStream) < 640);
}
