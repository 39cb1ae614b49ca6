// What librill throws. One type, because a caller needs to know what to do next, not a tree of causes: was the
// connection lost, is the same call safe to repeat, and which SQLSTATE did the server report.
//
// Thread-safety: a value type; copies are independent.
#pragma once

#include "rill/export.hpp"

#include <stdexcept>
#include <string>
#include <utility>

namespace rill {

/// Any failure of librill or of the server.
///
/// pg_rill's SQLSTATEs: RL001 stream closed, RL002 cursor before the first retained chunk, RL003 cursor diverged from
/// the server's history, RL004 expected id does not match, RL005 producer fenced, RL006 producer sequence gap, RL007 no
/// such stream for this cursor. librill itself uses 22023 for an argument out of its range, 08001 for a connection
/// string that cannot be parsed, 42704 when the extension is not installed, and 08P01 for an answer that it does not
/// understand. All others are PostgreSQL's.
class RILL_API Error : public std::runtime_error {
public:
    /// What came with the message. A member left out is empty or false.
    struct Facts {
        std::string sqlstate{};
        std::string detail{};
        std::string hint{};
        bool connection_lost = false;
        bool retryable = false;
    };

    explicit Error(const std::string &message) : std::runtime_error(message) {}
    Error(const std::string &message, Facts facts) : std::runtime_error(message), facts_(std::move(facts)) {}

    /// Five characters. Empty for most failures to connect and for lost connections, where libpq gives none.
    [[nodiscard]] const std::string &sqlstate() const noexcept { return facts_.sqlstate; }

    /// The server's DETAIL and HINT; empty when it gave none.
    [[nodiscard]] const std::string &detail() const noexcept { return facts_.detail; }
    [[nodiscard]] const std::string &hint() const noexcept { return facts_.hint; }

    /// The connection was lost, or could not be made. After an append this alone does not say whether the chunk was
    /// stored: see retryable().
    [[nodiscard]] bool connection_lost() const noexcept { return facts_.connection_lost; }

    /// The call had no effect, and the same call may succeed later (no connection could be made, a deadlock, a server
    /// that is starting up). False for an append whose answer never came: its chunk may or may not be stored.
    [[nodiscard]] bool retryable() const noexcept { return facts_.retryable; }

private:
    Facts facts_;
};

/// The Client was closed before or during this call. Never means the end of a stream. An append that it interrupts may
/// or may not have been stored.
class RILL_API Closed : public Error {
public:
    Closed() : Error("the rill client was closed") {}
};

}  // namespace rill
