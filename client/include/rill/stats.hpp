// What a Client did so far, and what it tells while it runs.
//
// Thread-safety: both are plain values. Events are made on the client's background thread.
#pragma once

#include <cstdint>
#include <string>

namespace rill {

/// Counts since the Client was made. Read one by one: they need not belong to the same instant.
struct Stats {
    /// Chunks put into readers' hands' reach, by what led to them: the first look of a reader and whatever is left
    /// behind a reconnect or a full buffer; a wait in the server (Options::wait_streams); a wake-up by NOTIFY; the
    /// poll.
    std::uint64_t chunks_caught_up = 0;
    std::uint64_t chunks_by_wait = 0;
    std::uint64_t chunks_by_notify = 0;
    std::uint64_t chunks_by_poll = 0;
    /// Of the polled ones, those that came although LISTEN was in place: a wake-up was lost or late.
    std::uint64_t chunks_rescued = 0;

    std::uint64_t notifications = 0;     ///< wake-ups received
    std::uint64_t polls = 0;             ///< times the poll was due
    std::uint64_t fetches = 0;           ///< queries for chunks sent, polls among them
    std::uint64_t waits = 0;             ///< waits in the server begun
    std::uint64_t reconnects = 0;        ///< connections made again after one was lost (reading and LISTEN)
    std::uint64_t connect_failures = 0;  ///< attempts that failed
    std::uint64_t callback_errors = 0;   ///< exceptions that left a callback; they are swallowed
    std::uint64_t readers = 0;           ///< readers now followed: neither stopped nor at their end
    bool reading = false;                ///< the read connection is up
    bool listening = false;              ///< LISTEN is in place
};

/// Something an operator may want to know.
struct Event {
    enum class Kind {
        connected,     ///< a connection is up; for Channel::listen: wake-ups will come
        disconnected,  ///< a connection was lost, or an attempt to make one failed; it will be tried again
        degraded,  ///< LISTEN does not work here: following goes on by waiting in the server and polling (`reason` says
                   ///< why)
        rescued_by_poll,  ///< the poll found chunks that LISTEN had not announced
    };
    enum class Channel { read, listen };

    Kind kind{};
    Channel channel{};
    std::string reason{};      ///< for disconnected and degraded; one line, never a password
    std::string sqlstate{};    ///< when the server gave one
    std::string stream{};      ///< for rescued_by_poll
    std::uint64_t chunks = 0;  ///< for rescued_by_poll
};

}  // namespace rill
