// What a Client has done so far, and what it reports while it runs.
//
// Thread-safety: both are plain values. Events are created on the client's background thread.
#pragma once

#include <cstdint>
#include <string>

namespace rill {

/// Counts since the Client was made. They are read one by one, so they need not belong to the same instant.
struct Stats {
    /// Chunks delivered to readers' buffers, by what triggered the fetch. Caught up: the first fetch of a reader, and
    /// what a reconnect or a full buffer had left behind.
    std::uint64_t chunks_caught_up = 0;
    std::uint64_t chunks_by_wait = 0;    ///< by a wait in the server (Options::wait_streams)
    std::uint64_t chunks_by_notify = 0;  ///< by a NOTIFY
    std::uint64_t chunks_by_poll = 0;    ///< by the poll
    /// Polled chunks that came although LISTEN was in place: their wake-up was lost or late.
    std::uint64_t chunks_rescued = 0;

    std::uint64_t notifications = 0;     ///< NOTIFYs received
    std::uint64_t polls = 0;             ///< times the poll was due
    std::uint64_t fetches = 0;           ///< queries for chunks sent, polls included
    std::uint64_t waits = 0;             ///< waits in the server begun
    std::uint64_t reconnects = 0;        ///< connections made again after a loss (read and LISTEN)
    std::uint64_t connect_failures = 0;  ///< failed attempts to connect
    std::uint64_t callback_errors = 0;   ///< exceptions that left a callback, and were swallowed
    std::uint64_t readers = 0;           ///< readers followed now: neither stopped nor at their end
    bool reading = false;                ///< the read connection is up
    bool listening = false;              ///< LISTEN is in place
};

/// Something an operator may want to know.
struct Event {
    enum class Kind {
        connected,        ///< a connection is up; for Channel::listen: wake-ups will come
        disconnected,     ///< a connection was lost or could not be made; the client tries again
        degraded,         ///< LISTEN does not work here: the client waits in the server if it may, and polls
        rescued_by_poll,  ///< the poll found chunks that LISTEN had not announced
    };
    enum class Channel { read, listen };

    Kind kind{};
    Channel channel{};
    std::string reason{};      ///< for disconnected and degraded: one line, never a password
    std::string hint{};        ///< for disconnected and degraded: what helps, if that is known
    std::string sqlstate{};    ///< if the server reported one
    std::string stream{};      ///< for rescued_by_poll
    std::uint64_t chunks = 0;  ///< for rescued_by_poll
};

}  // namespace rill
