// A Client appends to streams and follows any number of them over one LISTEN and one read connection. The LISTEN
// connection is made when there is a first Reader, the one for appends and other calls when there is a first call.
//
// Situations it must survive: connections that drop, stay half open or cannot be made for hours; hosts that change
// their role or address; wake-ups that never come; a transaction pooler or a standby in between (it waits in
// the server there, and polls).
// A wake-up only ever means "read after my cursor", so none of these can lose, repeat or reorder a chunk.
#pragma once

#include "rill/error.hpp"
#include "rill/export.hpp"
#include "rill/options.hpp"
#include "rill/reader.hpp"
#include "rill/start.hpp"
#include "rill/stats.hpp"
#include "rill/stream_info.hpp"

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
#include <vector>

namespace rill {

namespace detail {
class ClientImpl;
}

/// Thread-safety: every method from any thread at any time, except that the object must outlive the calls. Appends and
/// the other calls share one connection, opened when first needed, and take turns on it.
/// Lifetime: Readers may outlive it. The destructor closes.
/// Names of streams are 1 to 512 bytes of UTF-8 without a zero byte, unless the connection string sets client_encoding.
class RILL_API Client {
public:
    /// Connects; blocks until the read connection is up. `conninfo` is a libpq connection string or URI; PG*
    /// environment variables, service and password files work as everywhere. connect_timeout (5 s), keepalives* and
    /// tcp_user_timeout are set unless the user has set them. Throws Error when no server can be reached, it refuses,
    /// or the extension is not installed in the database. Only this first connect fails; later ones are tried again.
    explicit Client(std::string_view conninfo = "", Options options = {});

    Client(Client &&) noexcept;
    Client &operator=(Client &&) noexcept;
    Client(const Client &) = delete;
    Client &operator=(const Client &) = delete;
    ~Client();

    // --- following -------------------------------------------------------------------------------------------------

    /// Begins to follow `stream`, which need not exist yet. Does not block, except that only_new() asks the server for
    /// the head of the stream first. Throws Error 22023 for an impossible name or cursor, Closed after close().
    [[nodiscard]] Reader read(std::string_view stream, Start start = from_start());

    // --- appending: each blocks until the server has answered, at most Options::call_timeout -----------------------
    // Throws Error; RL001 when the stream is closed. If connection_lost() and not retryable(), the answer did not come
    // and the chunk may or may not have been stored.

    /// Stores one chunk, creating the stream if it is new, and returns its id. `eof` makes it the stream's last.
    std::int64_t append(std::string_view stream, std::string_view data, bool eof = false);
    std::int64_t append(std::string_view stream, std::span<const std::byte> data, bool eof = false);

    /// Stores a batch atomically, with consecutive ids, and returns the last one's; nothing for an empty batch.
    std::optional<std::int64_t> append_many(std::string_view stream, std::span<const std::span<const std::byte>> chunks,
                                            bool eof = false);
    std::optional<std::int64_t> append_many(std::string_view stream, std::span<const std::string_view> chunks,
                                            bool eof = false);
    /// For any range of things that convert to std::string_view.
    template <typename Range>
    requires std::ranges::forward_range<const Range> &&
        std::convertible_to<std::ranges::range_reference_t<const Range>, std::string_view>
            std::optional<std::int64_t> append_many(std::string_view stream, const Range &chunks, bool eof = false) {
        std::vector<std::string_view> views;
        for (auto &&chunk : chunks)
            views.emplace_back(chunk);
        return append_many(stream, std::span<const std::string_view>(views), eof);
    }

    /// Ends the stream; returns the id of its EOF. Idempotent.
    std::int64_t close_stream(std::string_view stream);

    // --- asking: each blocks like an append; tried a second time when the connection turns out to be dead ----------

    /// The highest readable id, 0 if there is none.
    [[nodiscard]] std::int64_t head(std::string_view stream);
    /// The cursor after which reading skips `skip` data chunks; negative: the cursor before the last `-skip`.
    [[nodiscard]] std::int64_t seek(std::string_view stream, std::int64_t skip);
    /// The cursor for chunks appended at or after `since`; the text form takes what PostgreSQL takes for a timestamptz.
    [[nodiscard]] std::int64_t seek_time(std::string_view stream, std::chrono::system_clock::time_point since);
    [[nodiscard]] std::int64_t seek_time(std::string_view stream, std::string_view since);
    /// Whether the stream is there and may be seen by this role.
    [[nodiscard]] bool exists(std::string_view stream);
    /// The streams that this role may see, by name. The server counts their chunks for it, which takes time.
    [[nodiscard]] std::vector<StreamInfo> streams();
    /// One of them, counted likewise; nullopt if it is not there or may not be seen.
    [[nodiscard]] std::optional<StreamInfo> info(std::string_view stream);

    // --- the client itself ------------------------------------------------------------------------------------------

    /// Counts so far. Never blocks.
    [[nodiscard]] Stats stats() const;

    /// Ends everything: pending and later next() and other calls throw Closed, also those that wait for the server.
    /// Returns when the background thread has ended, at once when called from a callback. Idempotent.
    void close() noexcept;

private:
    std::shared_ptr<detail::ClientImpl> impl_;
};

}  // namespace rill
