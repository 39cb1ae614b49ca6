// How a Client behaves. The defaults suit nearly everybody; `Options{.poll_interval = 1s}` changes one.
//
// Durations are std::chrono, sizes are bytes. A value out of its range makes the constructor of Client throw
// rill::Error with SQLSTATE 22023. Durations beyond a century mean forever.
#pragma once

#include "rill/stats.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace rill {

struct Options {
    /// The safety net under LISTEN: at this interval one query checks the streams of all readers, and both connections
    /// are checked. 0 turns it off; then a lost wake-up is noticed only with the next one, and a dead connection only
    /// by TCP.
    std::chrono::milliseconds poll_interval{5'000};

    /// A client that follows at most this many streams also waits for them in the server, on its read connection,
    /// beside LISTEN: a chunk of a quiet stream arrives a tenth of a millisecond sooner. 0: it waits there only where
    /// LISTEN does not work, as on a hot standby. Through a transaction pooler it does not: see wait_through_pooler.
    std::size_t wait_streams = 64;

    /// Where LISTEN is to go, if not to where the client connects: a connection string, for example of the server
    /// behind a transaction pooler, which cannot LISTEN. Empty: the same. Whether wake-ups of the streams that are read
    /// arrive there is tested.
    std::string listen_conninfo{};

    /// Through a transaction pooler no NOTIFY arrives, and a wait in the server would keep a server connection from all
    /// other clients of the pool: so the client polls, and holds none while it is idle. True: it waits all the same.
    bool wait_through_pooler = false;

    /// A connection that returns no data for this long while it owes an answer is considered dead. Above 0. Each time
    /// that happens the limit doubles, up to a minute, so that a server that is merely slow gets through in the end.
    std::chrono::milliseconds response_timeout{4'000};

    /// How long append, close_stream and the other calls may take, connecting included. 0 is no limit. A call that runs
    /// out of time is cancelled on the server; its answer to that is waited for as long again, but at least one second
    /// and at most five, and tells whether the call had its effect.
    std::chrono::milliseconds call_timeout{30'000};

    /// How many calls can run at once, each on a connection of its own; further ones wait for their turn. Connections
    /// are made when needed, and closed after a minute without use, but for one. Above 0.
    std::size_t call_connections = 4;

    /// The wait before the second attempt to connect. It doubles with each failure, up to reconnect_max, and half of it
    /// is random. Both above 0.
    std::chrono::milliseconds reconnect_min{250};
    std::chrono::milliseconds reconnect_max{30'000};

    /// After this long without a read connection, next() of every reader throws the last error of connecting. 0: never.
    /// The client keeps trying; readers made later get the same time again.
    std::chrono::milliseconds give_up_after{0};

    /// A reader whose buffer holds this much is left out of the queries until half of it has been read; other readers
    /// are not held up. The buffer may exceed this by one page, and the consumer holds one more. Both above 0.
    std::size_t buffer_chunks = 20'000;
    std::size_t buffer_bytes = std::size_t{8} * 1024 * 1024;

    /// At most how much one query returns, for all readers together. A single larger chunk still arrives. Both above 0.
    std::int32_t fetch_chunks = 10'000;
    std::int64_t fetch_bytes = std::int64_t{4} * 1024 * 1024;

    /// Shown in pg_stat_activity, followed by what the connection is for ("librill listen"), unless the connection
    /// string or PGAPPNAME names the application.
    std::string application_name = "librill";

    /// Called on the background thread. Return soon, take no lock that is held while the client is called, and do not
    /// destroy the client in it; Client::close() is allowed. An exception is swallowed and counted.
    std::function<void(const Event &)> on_event{};
};

}  // namespace rill
