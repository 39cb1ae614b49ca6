// What librill throws. One type, because a caller needs to know what to do next, not a tree of causes:
// was the connection lost, is the same call safe to repeat, and which SQLSTATE did the server give.
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
/// SQLSTATEs of pg_rill: RL001 stream closed, RL002 cursor before the first retained chunk, RL003 cursor diverged from
/// the server's history, RL004 expected id does not match, RL005 and RL006 producer fenced or out of sequence,
/// RL007 no such stream for this cursor. Everything else is PostgreSQL's own.
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

    /// Five characters, or empty when the failure did not come from the server.
    [[nodiscard]] const std::string &sqlstate() const noexcept { return facts_.sqlstate; }

    /// The server's DETAIL and HINT; empty when it gave none.
    [[nodiscard]] const std::string &detail() const noexcept { return facts_.detail; }
    [[nodiscard]] const std::string &hint() const noexcept { return facts_.hint; }

    /// The connection broke, or never came about. After an append this alone does not tell whether the chunk was
    /// stored: see retryable().
    [[nodiscard]] bool connection_lost() const noexcept { return facts_.connection_lost; }

    /// The call certainly had no effect, and the same call may succeed later (a connection that could not be made, a
    /// deadlock, a server that is starting up). False for an append whose answer never came: it may have been stored.
    [[nodiscard]] bool retryable() const noexcept { return facts_.retryable; }

private:
    Facts facts_;
};

/// The Client was closed while, or before, this call ran. Never stands for the end of a stream. An append that it
/// interrupts may or may not have been stored.
class RILL_API Closed : public Error {
public:
    Closed() : Error("the rill client was closed") {}
};

}  // namespace rill
