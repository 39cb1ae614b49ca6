// A Client appends to streams, and follows any number of them over one LISTEN connection and one read connection. The
// LISTEN connection is made with the first Reader, those for appends and other calls with the first calls.
//
// Situations it must survive: connections that are lost, stay half open or cannot be made for hours; hosts that change
// their role or address; wake-ups that never come; a transaction pooler or a standby in between (there it waits in the
// server, and polls).
// A wake-up only ever means "read after my cursor", so none of these can lose, repeat or reorder a chunk.
#pragma once

#include "rill/append.hpp"
#include "rill/error.hpp"
#include "rill/export.hpp"
#include "rill/options.hpp"
#include "rill/reader.hpp"
#include "rill/start.hpp"
#include "rill/stats.hpp"
#include "rill/stream_status.hpp"

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace rill {

namespace detail {
class ClientImpl;
}

class Producer;

/// Of values that are, or refer to, text that lives as long as the range does.
template <typename Range>
concept TextRange = std::ranges::forward_range<const Range> &&
    std::convertible_to<std::ranges::range_reference_t<const Range>, std::string_view> &&
    (std::is_lvalue_reference_v<std::ranges::range_reference_t<const Range>> ||
     std::is_trivially_copyable_v<std::ranges::range_value_t<const Range>>);

template <TextRange Range>
[[nodiscard]] std::vector<std::string_view> text_views(const Range &chunks) {
    std::vector<std::string_view> views;
    for (auto &&chunk : chunks)
        views.emplace_back(chunk);
    return views;
}

/// Thread-safety: every method from any thread at any time, as long as the object outlives the calls. Calls run
/// on a few connections of their own (Options::call_connections), so one that blocks in the server holds up no other.
/// Lifetime: Readers may outlive it. The destructor closes. After fork() the parent goes on as if nothing had happened.
/// In the child a client can only be destroyed, which frees neither its memory nor its threads' and tells the server
/// nothing; everything else throws Error 55000 there, as it does on a client that was moved from. Its sockets are
/// closed in the child by the fork itself. The child may make a client of its own. Names of streams are 1 to 512 bytes
/// of UTF-8 without a zero byte, unless the connection string sets client_encoding.
class RILL_API Client {
public:
    /// Connects; blocks until the read connection is up, at most connect_timeout for each host. `conninfo` is a libpq
    /// connection string or URI; PG* environment variables, service and password files work as usual. connect_timeout
    /// (5 s), keepalives* and tcp_user_timeout are set unless the user has set them. Throws Error when no server can be
    /// reached (connection_lost()), it refuses, the extension is not installed in the database (42704), the string
    /// cannot be parsed (08001), or an option is out of its range (22023). Only this first connect fails; lost
    /// connections are made again.
    explicit Client(std::string_view conninfo = "", Options options = {});

    Client(Client &&) noexcept;
    Client &operator=(Client &&) noexcept;
    Client(const Client &) = delete;
    Client &operator=(const Client &) = delete;
    ~Client();

    // --- following -------------------------------------------------------------------------------------------------

    /// Begins to follow `stream`, which need not exist yet. from_start() and after() do not block; the other starts
    /// first ask the server for a cursor, and block and throw like head(). Throws Error 22023 for an impossible name,
    /// cursor or count, Closed after close().
    [[nodiscard]] Reader read(std::string_view stream, Start start = from_start());

    // --- appending: blocks until the server has answered, at most Options::call_timeout -----------------------------
    // Throws Error: RL001 when the stream is closed, 22023 for an impossible name, 54000 for a chunk that is too large,
    // 42501 without the privilege, 57014 after call_timeout. If outcome_unknown(), no answer came, and whether the
    // chunk is stored is not known. Throws Closed after close().

    /// Stores one chunk and returns its id.
    std::int64_t append(std::string_view stream, std::string_view data, const AppendOptions &options = {});
    std::int64_t append(std::string_view stream, std::span<const std::byte> data, const AppendOptions &options = {});

    /// Stores a batch of chunks atomically, with consecutive ids, and returns the last id. An empty batch stores
    /// nothing, and returns nullopt.
    std::optional<std::int64_t> append_many(std::string_view stream, std::span<const std::span<const std::byte>> chunks,
                                            const AppendOptions &options = {});
    std::optional<std::int64_t> append_many(std::string_view stream, std::span<const std::string_view> chunks,
                                            const AppendOptions &options = {});
    /// For any range of values that convert to std::string_view, and live as long as the range.
    template <TextRange Range>
    std::optional<std::int64_t> append_many(std::string_view stream, const Range &chunks,
                                            const AppendOptions &options = {}) {
        const auto views = text_views(chunks);
        return append_many(stream, std::span<const std::string_view>(views), options);
    }

    /// The same, for programs that act on what hinders an append: that is a value here, not an error. An empty batch
    /// stores nothing, but is judged like any other; with `eof` it stores an empty EOF.
    AppendResult try_append(std::string_view stream, std::string_view data, const TryAppendOptions &options = {});
    AppendResult try_append(std::string_view stream, std::span<const std::byte> data,
                            const TryAppendOptions &options = {});
    AppendResult try_append_many(std::string_view stream, std::span<const std::span<const std::byte>> chunks,
                                 const TryAppendOptions &options = {});
    AppendResult try_append_many(std::string_view stream, std::span<const std::string_view> chunks,
                                 const TryAppendOptions &options = {});
    template <TextRange Range>
    AppendResult try_append_many(std::string_view stream, const Range &chunks, const TryAppendOptions &options = {}) {
        const auto views = text_views(chunks);
        return try_append_many(stream, std::span<const std::string_view>(views), options);
    }

    /// The last accepted step of an exactly-once producer; nullopt if it is unknown. An append that is under way may
    /// change it: see Producer. Repeated like the calls that ask.
    [[nodiscard]] std::optional<ProducerState> producer_state(std::string_view stream, std::string_view producer);

    /// Closes the stream and returns the id of its EOF. Idempotent; tried a second time if the connection turns out to
    /// be lost.
    std::int64_t close_stream(std::string_view stream);

    // --- asking: blocks and throws like appending; tried a second time if the connection turns out to be lost --------

    /// The highest readable id, 0 if there is none.
    [[nodiscard]] std::int64_t head(std::string_view stream);
    struct Sought {
        std::int64_t chunk_id;   ///< the cursor
        std::int64_t remaining;  ///< how many data chunks are still to be skipped behind it, once they are there
    };
    /// The cursor after which reading skips `skip` data chunks, or all there are. Negative: the cursor before the last
    /// `-skip`.
    [[nodiscard]] Sought seek(std::string_view stream, std::int64_t skip);
    /// The cursor for chunks appended at or after `since`. The text form takes what PostgreSQL accepts as a
    /// timestamptz; anything else is Error 22007.
    [[nodiscard]] std::int64_t seek_time(std::string_view stream, std::chrono::system_clock::time_point since);
    [[nodiscard]] std::int64_t seek_time(std::string_view stream, std::string_view since);
    /// Whether the stream exists and this role may see it.
    [[nodiscard]] bool exists(std::string_view stream);
    /// The stream at this moment. The cost does not grow with the stream.
    [[nodiscard]] StreamStatus status(std::string_view stream);
    /// Counts the data chunks after a cursor, and their bytes. The cost grows with their number.
    [[nodiscard]] StreamSize size(std::string_view stream, std::int64_t after = 0);
    /// Up to `limit` streams that this role may see, in the order of their names: those that begin with `prefix` and
    /// come after `after`. To continue behind a page, pass its last name.
    [[nodiscard]] std::vector<StreamStatus> list(std::string_view prefix = {}, std::string_view after = {},
                                                 std::int64_t limit = 1'000);
    /// Their names alone, which costs much less.
    [[nodiscard]] std::vector<std::string> names(std::string_view prefix = {}, std::string_view after = {},
                                                 std::int64_t limit = 100'000);
    /// Throws unless the chunk with the cursor's id is the one that was read with its epoch: kinds trimmed, diverged,
    /// missing. False on a standby that has not got so far.
    [[nodiscard]] bool verify(std::string_view stream, const Position &cursor);

    // --- managing streams: blocks and throws like appending --------------------------------------------------------

    /// Creates the stream. False: it is there, and is left as it is. `metadata` is JSON.
    bool create(std::string_view stream, const Limits &limits = {}, const std::optional<std::string> &metadata = {});
    /// Sets exactly these limits: one that is nullopt is no limit afterwards. False: this role sees no such stream. May
    /// be repeated, and is, if the connection turns out to be lost. So may the next two.
    bool set_limits(std::string_view stream, const Limits &limits);
    /// Sets or, with nullopt, removes the stream's metadata: application-defined JSON of at most 8 kB.
    bool set_metadata(std::string_view stream, const std::optional<std::string> &metadata);
    /// Counts as use of the stream for Limits::max_idle.
    bool touch(std::string_view stream);
    /// Removes the chunks with ids below `before` that are readable, but never the EOF; returns how many.
    std::int64_t trim(std::string_view stream, std::int64_t before);
    /// Deletes the stream and its chunks. False: this role sees no such stream.
    bool delete_stream(std::string_view stream);

    // --- the client itself ------------------------------------------------------------------------------------------

    /// The counts so far. Never blocks.
    [[nodiscard]] Stats stats() const;

    /// Ends everything: pending and later calls of next() and of this class throw Closed, also those that wait for the
    /// server. Blocks until the background thread has ended; called from a callback it returns at once. Idempotent.
    void close() noexcept;

private:
    friend class Producer;
    [[nodiscard]] detail::ClientImpl &impl() const;
    [[nodiscard]] std::shared_ptr<detail::ClientImpl> share() const;

    std::shared_ptr<detail::ClientImpl> impl_;
};

}  // namespace rill
