// What librill throws. One type, because a caller needs to know what to do next, not a tree of causes: what kind of
// failure it was, whether the call had an effect, whether it is safe to repeat.
//
// Thread-safety: a value type; copies are independent.
#pragma once

#include "rill/export.hpp"

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace rill {

/// What went wrong, as far as a program acts on it.
enum class ErrorKind : std::uint8_t {
    closed,      ///< RL001: the stream is closed; chunk_id() is its EOF
    trimmed,     ///< RL002: the cursor is before the first retained chunk
    diverged,    ///< RL003: the server's history does not contain the cursor
    mismatch,    ///< RL004: the stream's highest id is not the expected one; chunk_id() is
    fenced,      ///< RL005: a newer epoch of this producer has appended; producer_epoch() is the newest
    gap,         ///< RL006: the producer has left out a sequence number; next_seq() is the one that is due
    missing,     ///< RL007: no such stream for this cursor, or for an append that does not create it
    connection,  ///< the connection was lost or could not be made, or no answer came
    denied,      ///< 42501: this role has not the privilege
    usage,       ///< the call cannot be right, whatever the server's state: an argument is out of its range, …
    other,       ///< anything else: sqlstate() and what() say what
};

/// Any failure of librill or of the server.
///
/// librill itself uses these SQLSTATEs, beside the server's: 22023 for an argument out of its range, 54000 for data
/// that is too large to be sent, 08001 for a connection string that cannot be parsed, 42704 when the extension is not
/// installed, 57014 for a call that ran out of time, 53000 when the process is out of file descriptors or threads,
/// 55000 for a client that cannot be used (moved from, or in a forked child), and 08P01 for an answer that it does not
/// understand.
class RILL_API Error : public std::runtime_error {
public:
    /// What came with the message. A member left out is empty or false.
    struct Facts {
        std::string sqlstate{};
        std::string detail{};
        std::string hint{};
        bool connection_lost = false;
        bool retryable = false;
        bool outcome_unknown = false;
        /// Left out: by the other facts.
        std::optional<ErrorKind> kind{};
        std::optional<std::int64_t> chunk_id{};
        std::optional<std::int64_t> producer_epoch{};
        std::optional<std::int64_t> next_seq{};
    };

    explicit Error(const std::string &message) : Error(message, Facts()) {}
    Error(const std::string &message, Facts facts);

    [[nodiscard]] ErrorKind kind() const noexcept { return kind_; }

    /// Five characters. Empty for failures to connect, even when a server has refused (a wrong password, too many
    /// connections): libpq hands on the text alone. Empty as well for most lost connections.
    [[nodiscard]] const std::string &sqlstate() const noexcept { return facts_.sqlstate; }

    /// The server's DETAIL and HINT; empty when it gave none.
    [[nodiscard]] const std::string &detail() const noexcept { return facts_.detail; }
    [[nodiscard]] const std::string &hint() const noexcept { return facts_.hint; }

    /// The connection was lost, or could not be made. This alone does not say whether the call had an effect.
    [[nodiscard]] bool connection_lost() const noexcept { return facts_.connection_lost; }

    /// The call had no effect, or can be repeated without harm, and the same call may succeed later (no connection
    /// could be made, a deadlock, a server that is starting up).
    [[nodiscard]] bool retryable() const noexcept { return facts_.retryable; }

    /// The server had the call and no answer came, so it may have had its effect or not, or have it yet. Only for calls
    /// that change something. A Producer finds out.
    [[nodiscard]] bool outcome_unknown() const noexcept { return facts_.outcome_unknown; }

    /// mismatch: the highest id of the stream. closed: the id of its EOF.
    [[nodiscard]] std::optional<std::int64_t> chunk_id() const noexcept { return facts_.chunk_id; }
    /// fenced: the newest epoch of the producer.
    [[nodiscard]] std::optional<std::int64_t> producer_epoch() const noexcept { return facts_.producer_epoch; }
    /// gap: the sequence number that the server expects.
    [[nodiscard]] std::optional<std::int64_t> next_seq() const noexcept { return facts_.next_seq; }

    [[nodiscard]] const Facts &facts() const noexcept { return facts_; }

private:
    Facts facts_;
    ErrorKind kind_;
};

/// The Client was closed before or during this call. Never means the end of a stream: its kind() is other. A call that
/// changes something and was under way may have had its effect: see outcome_unknown().
class RILL_API Closed : public Error {
public:
    Closed() : Closed(false) {}
    explicit Closed(bool outcome_unknown);
};

/// "closed", "trimmed", …
[[nodiscard]] RILL_API std::string_view to_string(ErrorKind kind) noexcept;

}  // namespace rill
