// See failures.hpp.
#include "failures.hpp"

namespace rill::serve {

bool is_outage(const Error &error) {
    return error.kind() == ErrorKind::connection || error.retryable() || error.connection_lost() ||
           error.outcome_unknown() || error.sqlstate() == "57014" || dynamic_cast<const Closed *>(&error) != nullptr;
}

Response failure(const Error &error) {
    switch (error.kind()) {
    case ErrorKind::closed:
        return refusal(409, "The stream is closed.").with("Stream-Closed", "true");
    case ErrorKind::trimmed:
        return refusal(410, "What follows this offset was removed; the stream begins later now.");
    case ErrorKind::diverged:
        return refusal(410, "The server's history does not contain this offset. Begin again with offset=-1.");
    case ErrorKind::missing:
        return no_stream();
    case ErrorKind::denied:
        return refusal(403, error.what());
    case ErrorKind::usage:
        return refusal(error.sqlstate() == "54000" ? 413 : 400, error.what());
    case ErrorKind::connection:
        return unavailable("The database cannot be reached.");
    default:
        break;
    }
    if (error.sqlstate() == "54000")
        return refusal(413, error.what());
    if (is_outage(error))
        return unavailable("The database did not answer in time.");
    return refusal(500, error.what());
}

}  // namespace rill::serve
