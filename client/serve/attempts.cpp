// See attempts.hpp.
#include "attempts.hpp"

#include "failures.hpp"

#include <algorithm>
#include <utility>

namespace rill::serve {
namespace {

constexpr std::chrono::milliseconds kProducerStep{20};
constexpr std::chrono::milliseconds kOutageStep{200};

}  // namespace

Attempts::Attempts(Loop &loop, const AttemptOptions &options)
    : loop_(loop), options_(options), threads_(options.threads) {}

Attempts::~Attempts() { *alive_ = false; }

void Attempts::begin(Attempt attempt) {
    if (open_ >= options_.open)
        return attempt.exchange->send(unavailable("Too many requests are waiting for the database."));
    ++open_;
    admit(std::make_shared<Attempt>(std::move(attempt)));
}

void Attempts::admit(const std::shared_ptr<Attempt> &attempt) {
    if (attempt->writes_to.empty())
        return call(attempt);
    Line &line = lines_[attempt->writes_to];
    if (line.under_way >= std::max<std::size_t>(1, options_.threads / 2)) {
        line.waiting.push_back(attempt);
        return;
    }
    ++line.under_way;
    call(attempt);
}

void Attempts::call(const std::shared_ptr<Attempt> &attempt) {
    // The Attempt and its Exchange belong to the loop: the call's thread hands them back, and never drops the last one.
    const auto held = std::make_shared<std::shared_ptr<Attempt>>(attempt);
    threads_.run([this, &loop = loop_, alive = alive_, held] {
        Attempt &mine = **held;
        std::optional<Response> answer;
        const auto waited = std::chrono::steady_clock::now() - mine.since;
        const bool waited_enough = waited >= options_.producer_wait;
        if (waited >= options_.outage_wait) {
            answer = mine.failed ? *mine.failed : unavailable("Too many requests are waiting for the database.");
        } else {
            const Response failed = guarded([&] {
                try {
                    answer = mine.work(waited_enough);
                } catch (const Error &error) {
                    if (!is_outage(error) || !(error.retryable() || mine.repeatable))
                        throw;
                    mine.failed = failure(error);
                }
                return Response{.status = 0};
            });
            if (failed.status != 0)
                answer = failed;
        }
        loop.post([this, alive, mine = std::move(*held), waited_enough, answer = std::move(answer)]() mutable {
            if (*alive)
                returned(mine, std::move(answer), waited_enough);
        });
    });
}

void Attempts::returned(const std::shared_ptr<Attempt> &attempt, std::optional<Response> answer, bool waited_enough) {
    if (const auto found = lines_.find(attempt->writes_to); found != lines_.end()) {
        Line &line = found->second;
        --line.under_way;
        if (!line.waiting.empty()) {
            ++line.under_way;
            const auto next = std::move(line.waiting.front());
            line.waiting.pop_front();
            call(next);
        } else if (line.under_way == 0) {
            lines_.erase(found);
        }
    }
    if (answer) {
        --open_;
        if (attempt->done)
            return attempt->done(attempt->exchange, std::move(*answer));
        return attempt->exchange->send(std::move(*answer));
    }
    const std::uint64_t number = next_retry_++;
    retries_[number] = loop_.after(waited_enough ? kOutageStep : kProducerStep, [this, attempt, number] {
        admit(attempt);
        retries_.erase(number);
    });
}

}  // namespace rill::serve
