// How an append is made, and what try_append() returns.
//
// Thread-safety: plain values.
#pragma once

#include "rill/export.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace rill {

/// For Client::append() and append_many(): `client.append("s", "bye", {.eof = true})`.
struct AppendOptions {
    /// This is the stream's last chunk, or the last one of the batch is.
    bool eof = false;
    /// Store only if this is the highest id of the stream; 0 is a stream that never held a chunk. Else the error is of
    /// kind mismatch, and its chunk_id() is the highest id.
    std::optional<std::int64_t> expected{};
    /// Create the stream if it does not exist. When false, the error is of kind missing then.
    bool create_stream = true;
};

/// One step of an exactly-once producer. Producer does this by itself.
struct ProducerStep {
    std::string name;        ///< 1 to 512 bytes
    std::int64_t epoch = 0;  ///< of the instance; 0 or more
    std::int64_t seq = 1;    ///< numbers its appends to this stream, from 1
};

/// For Client::try_append() and try_append_many().
struct TryAppendOptions {
    bool eof = false;
    std::optional<std::int64_t> expected{};
    bool create_stream = true;
    std::optional<ProducerStep> producer{};
    /// Store only if this is above the last one given to the stream, compared byte by byte. 1 to 512 bytes.
    std::optional<std::string> writer_seq{};
};

/// What became of an append. Where several apply, the first one in this list is the answer.
enum class AppendOutcome : std::uint8_t {
    missing,   ///< `create_stream` is false, and there is no such stream that this role may see
    fenced,    ///< a newer epoch of the producer has appended
    repeat,    ///< the producer's step was stored before
    closed,    ///< the stream is closed
    gap,       ///< the producer's step is not the next one
    stale,     ///< `writer_seq` is not above the last one
    mismatch,  ///< the stream is not at `expected`
    stored,
};

/// A value that does not apply, or that the server does not know, is nullopt.
struct AppendResult {
    AppendOutcome outcome{};
    /// stored: of the last chunk. repeat: what the first try was given. closed: of the EOF. mismatch: the highest id.
    std::optional<std::int64_t> chunk_id{};
    /// The producer's last accepted step, this one included.
    std::optional<std::int64_t> producer_epoch{};
    std::optional<std::int64_t> producer_seq{};
    /// The stream is closed after the call.
    bool closed = false;

    /// The chunks are in the stream: by this call, or by an earlier one of the same step.
    [[nodiscard]] bool accepted() const noexcept {
        return outcome == AppendOutcome::stored || outcome == AppendOutcome::repeat;
    }
};

/// "stored", "repeat", …
[[nodiscard]] RILL_API std::string_view to_string(AppendOutcome outcome) noexcept;

/// The last accepted step of a producer.
struct ProducerState {
    std::int64_t epoch = 0;
    std::int64_t seq = 0;
    std::optional<std::int64_t> chunk_id{};  ///< of its last chunk

    friend bool operator==(const ProducerState &, const ProducerState &) = default;
};

}  // namespace rill
