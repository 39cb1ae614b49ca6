// See rill/error.hpp: which kind an error is of.
#include "rill/error.hpp"

namespace rill {
namespace {

ErrorKind kind_of(const Error::Facts &facts) noexcept {
    if (facts.kind)
        return *facts.kind;
    const std::string_view sqlstate = facts.sqlstate;
    if (sqlstate.size() == 5 && sqlstate.starts_with("RL00") && sqlstate[4] >= '1' && sqlstate[4] <= '7')
        return static_cast<ErrorKind>(sqlstate[4] - '1');
    if (facts.connection_lost || sqlstate.starts_with("08"))
        return ErrorKind::connection;
    if (sqlstate == "42501" || sqlstate.starts_with("28"))
        return ErrorKind::denied;
    // Data exceptions, program limits, features not supported.
    if (sqlstate.starts_with("22") || sqlstate.starts_with("54") || sqlstate.starts_with("0A"))
        return ErrorKind::usage;
    return ErrorKind::other;
}

static_assert(static_cast<int>(ErrorKind::closed) == 0 && static_cast<int>(ErrorKind::missing) == 6,
              "kind_of() counts on the order");

}  // namespace

Error::Error(const std::string &message, Facts facts)
    : std::runtime_error(message), facts_(std::move(facts)), kind_(kind_of(facts_)) {}

Closed::Closed(bool outcome_unknown)
    : Error(outcome_unknown ? "the rill client was closed; whether the call had its effect is not known"
                            : "the rill client was closed",
            {.outcome_unknown = outcome_unknown, .kind = ErrorKind::other}) {}

std::string_view to_string(ErrorKind kind) noexcept {
    switch (kind) {
    case ErrorKind::closed:
        return "closed";
    case ErrorKind::trimmed:
        return "trimmed";
    case ErrorKind::diverged:
        return "diverged";
    case ErrorKind::mismatch:
        return "mismatch";
    case ErrorKind::fenced:
        return "fenced";
    case ErrorKind::gap:
        return "gap";
    case ErrorKind::missing:
        return "missing";
    case ErrorKind::connection:
        return "connection";
    case ErrorKind::denied:
        return "denied";
    case ErrorKind::usage:
        return "usage";
    case ErrorKind::other:
        break;
    }
    return "other";
}

}  // namespace rill
