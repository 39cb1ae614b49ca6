// What is behind a Client: its options, its background loop and its connection for calls.
//
// Made and ended in the right order: the loop refers to the options and counters, the readers keep the mailbox.
// Thread-safety: as for Client. close() from the loop's own thread (a callback) asks it to end and does not wait.
#pragma once

#include "calls.hpp"
#include "counters.hpp"
#include "loop.hpp"
#include "mailbox.hpp"
#include "rill/options.hpp"
#include "rill/start.hpp"

#include <memory>
#include <mutex>
#include <string_view>
#include <thread>

namespace rill::detail {

class Core {
public:
    Core(std::string_view conninfo, Options options);
    Core(const Core &) = delete;
    Core &operator=(const Core &) = delete;
    ~Core();

    [[nodiscard]] std::shared_ptr<Subscription> follow(std::string_view stream, Start start);
    [[nodiscard]] Calls &calls() noexcept { return calls_; }
    [[nodiscard]] Stats stats() const noexcept { return counters_.read(); }
    void close() noexcept;

    // Calls function `sql` names and returns its one bigint; nullopt for SQL's NULL.
    [[nodiscard]] std::optional<std::int64_t> number(std::string_view call, const Params &params, Calls::Effect effect);

private:
    const Options options_;
    const ConnectPlan plan_;
    Counters counters_;
    const std::shared_ptr<Mailbox> mailbox_;
    Calls calls_;
    Loop loop_;
    std::mutex join_;
    std::thread thread_;  // joined under join_
};

// Throws Error 22023 unless the server could take this for a stream's name.
void check_name(std::string_view stream);

}  // namespace rill::detail
