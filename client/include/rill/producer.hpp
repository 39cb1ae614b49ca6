// A Producer appends to one stream exactly once: what it has appended is in the stream once, whatever happens to
// connections, servers and processes (promise I10).
//
// It has a name, and numbers its appends. The server remembers the last ones, so an append whose answer was lost is
// simply sent again. Each Producer begins a new epoch of its name, after which the server accepts nothing from earlier
// ones: a process that was replaced, but lives on somewhere, can do no harm.
//
// After a restart, last() is the last append that the server accepted from any earlier instance, and this is final:
// nothing that was under way then can still be stored. Input that came after it has to be appended, and nothing else. A
// program finds its place in the input by last()->chunk_id if the chunks say where they come from (client.read(stream,
// after(*chunk_id - 1)) reads that one), or by last()->epoch and seq if it has noted them with its input.
#pragma once

#include "rill/append.hpp"
#include "rill/client.hpp"
#include "rill/export.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace rill {

struct ProducerOptions {
    /// For how long one call goes on trying while there is no connection. 0: until there is one.
    std::chrono::milliseconds retry_for{0};
};

/// Thread-safety: one thread at a time. Several Producers can be used by several threads.
/// Lifetime: a Producer may outlive its Client; then every call throws Closed. In a forked child it can only be
/// destroyed.
class RILL_API Producer {
public:
    /// Begins an epoch of this producer of this stream, and creates the stream if it does not exist. `name` is 1 to 512
    /// bytes. Blocks as append() does; waits for appends of earlier instances that are under way in the server. Throws
    /// Error: 42501 without the rights for appending, 22023 for an impossible name, and as append().
    Producer(Client &client, std::string_view stream, std::string_view name, const ProducerOptions &options = {});

    Producer(Producer &&) noexcept;
    Producer &operator=(Producer &&) noexcept;
    Producer(const Producer &) = delete;
    Producer &operator=(const Producer &) = delete;
    ~Producer();

    /// Stores one chunk, exactly once, and returns its id. Blocks until the server has answered: while the connection
    /// is lost or cannot be made, for ProducerOptions::retry_for; while the server does not answer, for
    /// Options::call_timeout, and tries again unless it knows that the call was cancelled.
    ///
    /// Throws Error of the kinds closed, mismatch, missing; fenced: a newer instance has begun, stop this one; gap: the
    /// server has lost what it had accepted (a promotion, a restore); denied; connection after retry_for; other, with
    /// SQLSTATE 57014, when the call was cancelled. If outcome_unknown(), call restart() before the next append. After
    /// any other error nothing was stored, and the call may be repeated. Throws Closed.
    std::int64_t append(std::string_view data, const AppendOptions &options = {});
    std::int64_t append(std::span<const std::byte> data, const AppendOptions &options = {});

    /// The same for a batch, stored as a whole: consecutive ids, one number. Returns the last id. An empty batch stores
    /// nothing, and returns nullopt.
    std::optional<std::int64_t> append_many(std::span<const std::span<const std::byte>> chunks,
                                            const AppendOptions &options = {});
    std::optional<std::int64_t> append_many(std::span<const std::string_view> chunks,
                                            const AppendOptions &options = {});
    template <TextRange Range>
    std::optional<std::int64_t> append_many(const Range &chunks, const AppendOptions &options = {}) {
        const auto views = text_views(chunks);
        return append_many(std::span<const std::string_view>(views), options);
    }

    /// The last append that the server has accepted from this producer, of earlier epochs too; nullopt if there is
    /// none.
    [[nodiscard]] const std::optional<ProducerState> &last() const noexcept { return last_; }
    /// Of this instance.
    [[nodiscard]] std::int64_t epoch() const noexcept { return epoch_; }

    /// Begins another epoch, as the constructor does, and sets last(). This is how to go on after an error with
    /// outcome_unknown(): last() tells whether that append was stored.
    void restart();

    [[nodiscard]] const std::string &stream() const noexcept { return stream_; }
    [[nodiscard]] const std::string &name() const noexcept { return name_; }

private:
    template <typename Chunks>
    std::optional<std::int64_t> append_chunks(const Chunks &chunks, const AppendOptions &options);
    [[nodiscard]] detail::ClientImpl &impl() const;

    std::shared_ptr<detail::ClientImpl> impl_;
    std::string stream_;
    std::string name_;
    std::chrono::milliseconds retry_for_{};
    std::int64_t epoch_ = 0;
    std::int64_t next_seq_ = 1;
    std::optional<ProducerState> last_;
    bool settled_ = false;  // whether the last append was stored is known
};

}  // namespace rill
