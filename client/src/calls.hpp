// The connection for calls that have an answer: append, close_stream, head and the like. Opened when first needed,
// made again when it is found dead before a call. Callers take turns and wait here, in their own threads.
//
// The hard part is knowing what a lost connection means: before the statement was sent nothing happened (the Error is
// retryable), after that an append may or may not have been stored (it is not). A statement that only reads is simply
// tried once more. Situations it must survive: a server that was restarted since the last call, one that never
// answers (deadline), a lock that is not released (the same), close() meanwhile.
// Thread-safety: call() and close() from any thread.
#pragma once

#include "conninfo.hpp"
#include "link.hpp"
#include "pq.hpp"
#include "route.hpp"
#include "wake_fd.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>

namespace rill::detail {

class Calls {
public:
    enum class Effect { none, writes };

    Calls(ConnectPlan plan, std::chrono::milliseconds timeout)
        : timeout_(timeout), plan_(std::move(plan)), route_(plan_.targets()) {}

    // Runs one statement and returns its rows; throws Error or Closed. `sql` gets the extension's schema.
    [[nodiscard]] Result call(const std::function<std::string(const std::string &schema)> &sql, const Params &params,
                              Effect effect, bool binary = true);

    // Ends a call that is under way, and refuses later ones.
    void close() noexcept;

private:
    enum class Wait { ready, late, closed };
    class Turn;

    void connect(TimePoint deadline);
    [[nodiscard]] bool alive();
    [[nodiscard]] Result run(const std::string &sql, const Params &params, bool binary, TimePoint deadline);
    [[nodiscard]] Wait wait(int fd, short events, TimePoint deadline);
    void resolve(TimePoint deadline);
    [[nodiscard]] TimePoint host_deadline() const noexcept;
    [[noreturn]] void lose(Error why);

    const std::chrono::milliseconds timeout_;

    std::mutex mutex_;
    std::condition_variable free_;
    bool taken_ = false;  // protected by mutex_; whoever set it has route_, connection_ and schema_ to itself
    const ConnectPlan plan_;
    Route route_;
    Connection connection_;
    std::string schema_;

    std::atomic<bool> closed_{false};  // set under mutex_
    WakeFd wake_;
};

}  // namespace rill::detail
