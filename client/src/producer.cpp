// See rill/producer.hpp.
//
// Why each append is stored once: a step (epoch, sequence) is sent again and again with the same data until the server
// has answered for it, and the server stores a step at most once. No two instances have the same epoch, since
// stream_producer_begin() gives each another one. The next step is sent only after this one is known to be stored; if
// that cannot be found out, no step is sent at all before restart().
#include "rill/producer.hpp"

#include "append_statement.hpp"
#include "arguments.hpp"
#include "backoff.hpp"
#include "client_impl.hpp"
#include "fork_guard.hpp"

#include <algorithm>
#include <functional>
#include <random>
#include <utility>

namespace rill {
namespace {

using detail::Clock;
using detail::Effect;
using detail::Params;

// Runs the statement until there is an answer. Sets *repeated once the server may have seen it before.
detail::Result call_until_answered(detail::ClientImpl &impl, std::chrono::milliseconds retry_for,
                                   const std::function<std::string(const std::string &)> &sql, const Params &params,
                                   bool *repeated) {
    const auto give_up = detail::deadline_after(Clock::now(), retry_for);
    detail::Backoff backoff(impl.options().reconnect_min, impl.options().reconnect_max);
    std::minstd_rand random{std::random_device{}()};
    for (bool first = true;; first = false) {
        try {
            if (!first)
                impl.calls().pause(std::min(Clock::now() + backoff.take(random), give_up));
            return impl.calls().call(sql, params, Effect::writes);
        } catch (const Closed &error) {
            throw Closed(*repeated || error.outcome_unknown());
        } catch (const Error &error) {
            *repeated = *repeated || error.outcome_unknown();
            if (!error.connection_lost() || Clock::now() >= give_up) {
                if (!*repeated || error.outcome_unknown())
                    throw;
                // This try has done nothing, but an earlier one may have.
                Error::Facts facts = error.facts();
                facts.retryable = false;
                facts.outcome_unknown = true;
                throw Error(error.what(), std::move(facts));
            }
        }
    }
}

}  // namespace

Producer::Producer(Client &client, std::string_view stream, std::string_view name, const ProducerOptions &options)
    : impl_(client.share()), stream_(stream), name_(name), retry_for_(options.retry_for) {
    detail::check_stream_name(stream_);
    detail::check_name(name_, "producer");
    detail::check_duration(retry_for_, "retry_for");
    restart();
}

Producer::Producer(Producer &&) noexcept = default;
Producer &Producer::operator=(Producer &&other) noexcept {
    if (this != &other) {
        if (impl_ != nullptr && impl_->foreign())
            detail::abandon(std::move(impl_));
        impl_ = std::move(other.impl_);
        stream_ = std::move(other.stream_);
        name_ = std::move(other.name_);
        retry_for_ = other.retry_for_;
        epoch_ = other.epoch_;
        next_seq_ = other.next_seq_;
        last_ = other.last_;
        settled_ = other.settled_;
    }
    return *this;
}
Producer::~Producer() {
    if (impl_ != nullptr && impl_->foreign())
        detail::abandon(std::move(impl_));
}

detail::ClientImpl &Producer::impl() const {
    if (impl_ == nullptr)
        throw Error("this rill producer was moved from", {.sqlstate = "55000", .kind = ErrorKind::usage});
    if (impl_->foreign())
        detail::throw_foreign();
    return *impl_;
}

void Producer::restart() {
    const auto sql = [](const std::string &schema) {
        return "SELECT producer_epoch, last_epoch, last_seq, chunk_id FROM " + schema + "stream_producer_begin($1, $2)";
    };
    settled_ = false;
    // An epoch that begins without our knowing is no harm: the next try gives another one.
    bool repeated = false;
    const detail::Result rows =
        call_until_answered(impl(), retry_for_, sql, Params().text(stream_).text(name_), &repeated);
    epoch_ = rows.one_row().int8(0, 0);
    next_seq_ = 1;
    last_.reset();
    if (!rows.null(0, 1))
        last_ = {rows.int8(0, 1), rows.int8(0, 2), rows.int8(0, 3)};
    settled_ = true;
}

template <typename Chunks>
std::optional<std::int64_t> Producer::append_chunks(const Chunks &chunks, const AppendOptions &options) {
    detail::ClientImpl &client = impl();
    if (!settled_)
        throw Error("whether the last append of this rill producer was stored is not known",
                    {.sqlstate = "55000", .hint = "Call restart(), and compare last().", .kind = ErrorKind::usage});
    if (chunks.empty())
        return std::nullopt;
    const TryAppendOptions step{.eof = options.eof,
                                .expected = options.expected,
                                .create_stream = options.create_stream,
                                .producer = ProducerStep{name_, epoch_, next_seq_}};
    const Params params = detail::append_params(stream_, detail::array_of(chunks), step);
    bool repeated = false;
    settled_ = false;  // also if an exception that we do not expect leaves this
    AppendResult result;
    try {
        const detail::Result rows = call_until_answered(client, retry_for_, detail::append_sql, params, &repeated);
        result = detail::read_answer_to_change([&rows] { return detail::read_append_result(rows); });
    } catch (const Error &error) {
        settled_ = !error.outcome_unknown();
        throw;
    }
    settled_ = true;
    if (result.outcome == AppendOutcome::repeat && !repeated)
        // Somebody else has this epoch: a promotion or a restore has taken back that ours had begun.
        result.outcome = AppendOutcome::fenced;
    if (!result.accepted())
        throw detail::refusal(stream_, result,
                              result.producer_epoch == epoch_ ? result.producer_seq.value_or(0) + 1 : 1);
    last_ = {epoch_, next_seq_, result.chunk_id};
    ++next_seq_;
    return detail::not_null(result.chunk_id);
}

std::int64_t Producer::append(std::string_view data, const AppendOptions &options) {
    return detail::not_null(append_chunks(std::span(&data, 1), options));
}

std::int64_t Producer::append(std::span<const std::byte> data, const AppendOptions &options) {
    return detail::not_null(append_chunks(std::span(&data, 1), options));
}

std::optional<std::int64_t> Producer::append_many(std::span<const std::span<const std::byte>> chunks,
                                                  const AppendOptions &options) {
    return append_chunks(chunks, options);
}

std::optional<std::int64_t> Producer::append_many(std::span<const std::string_view> chunks,
                                                  const AppendOptions &options) {
    return append_chunks(chunks, options);
}

}  // namespace rill
