// What is behind a Client: its options, its background loop and its connection for calls.
//
// Built and ended in the right order: the loop refers to the options and counters, and the readers keep the mailbox.
// Thread-safety: as for Client. close() on the loop's own thread (from a callback) requests the end without waiting.
// In a forked child none of this works: see fork_guard.hpp.
#pragma once

#include "calls.hpp"
#include "conninfo.hpp"
#include "counters.hpp"
#include "fork_guard.hpp"
#include "loop.hpp"
#include "mailbox.hpp"
#include "rill/client.hpp"
#include "rill/options.hpp"
#include "rill/start.hpp"
#include "subscription.hpp"

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

namespace rill::detail {

class ClientImpl {
public:
    ClientImpl(std::string_view conninfo, Options options);
    ClientImpl(const ClientImpl &) = delete;
    ClientImpl &operator=(const ClientImpl &) = delete;
    ~ClientImpl();

    [[nodiscard]] std::shared_ptr<Subscription> follow(std::string_view stream, Start start);
    [[nodiscard]] Calls &calls() noexcept { return calls_; }
    [[nodiscard]] const Options &options() const noexcept { return options_; }
    [[nodiscard]] Stats stats() const noexcept { return counters_.read(); }
    void close() noexcept;

    [[nodiscard]] Client::Sought seek(std::string_view stream, std::int64_t skip);
    // This is the copy that a forked child has of its parent's client.
    [[nodiscard]] bool foreign() const noexcept { return process_ != process_number(); }

    // Make a call, as "function($1, $2)", that returns one value; nullopt for SQL's NULL.
    [[nodiscard]] std::optional<std::int64_t> call_bigint(std::string_view call, const Params &params, Effect effect);
    [[nodiscard]] bool call_boolean(std::string_view call, const Params &params, Effect effect);

private:
    [[nodiscard]] Result call_function(std::string_view call, const Params &params, Effect effect);
    [[nodiscard]] Position find(std::string_view stream, const Start &start, LeftOut &left_out);

    const std::uint64_t process_ = process_number();
    const Options options_;
    const Conninfo conninfo_;
    const Conninfo listen_conninfo_;
    Counters counters_;
    const std::shared_ptr<Mailbox> mailbox_;
    Calls calls_;
    Loop loop_;
    std::mutex join_mutex_;
    std::thread thread_;  // joined under join_mutex_
    std::thread::id thread_id_;
};

// For calls that never return SQL's NULL.
[[nodiscard]] std::int64_t not_null(std::optional<std::int64_t> value);

// What read() makes of the answer to a call that changes something. One that makes no sense does not tell what became
// of the call. Its SQLSTATE does not tell it apart: a pooler without a server says 08P01, too, and then nothing was
// sent.
template <typename Read>
auto read_answer_to_change(Read read) {
    try {
        return read();
    } catch (const Error &error) {
        Error::Facts facts = error.facts();
        facts.outcome_unknown = true;
        throw Error(error.what(), std::move(facts));
    }
}

}  // namespace rill::detail
