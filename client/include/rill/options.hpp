// How a Client behaves. The defaults suit nearly everybody; `Options{.poll_interval = 1s}` changes one.
//
// Durations are std::chrono, sizes are bytes. A value out of its range makes the constructor of Client throw
// rill::Error with SQLSTATE 22023.
#pragma once

#include "rill/stats.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace rill {

struct Options {
    /// The safety net under LISTEN: every so often one query looks for news of all readers, and both connections show
    /// that they live. 0 turns it off; then a lost wake-up is noticed only by the next one, and a dead connection only
    /// by TCP.
    std::chrono::milliseconds poll_interval{5'000};

    /// A client that follows no more streams than this also waits for them inside the server, on its read connection,
    /// beside LISTEN: a chunk of a quiet stream comes a tenth of a millisecond sooner. A transaction pooler's server
    /// connection is taken for as long. 0: it waits there only where LISTEN does not work, as on a hot standby.
    std::size_t wait_streams = 64;

    /// A query that brings not a byte for so long means a dead connection. Doubles, up to a minute, each time it
    /// strikes, so that a server that is merely slow gets through in the end.
    std::chrono::milliseconds response_timeout{4'000};

    /// How long append, close_stream and the other calls may take, connecting included; 0 waits for ever.
    std::chrono::milliseconds call_timeout{30'000};

    /// The wait before the second attempt to connect; doubles up to reconnect_max. Half of each wait is random.
    std::chrono::milliseconds reconnect_min{250};
    std::chrono::milliseconds reconnect_max{30'000};

    /// After so long without a read connection, next() of every reader throws the last connection error. 0: never.
    /// The client goes on trying; readers made later get the same time again.
    std::chrono::milliseconds give_up_after{0};

    /// A reader whose buffer holds so much is left out of the queries until it is drained to half; others go on.
    /// The buffer may exceed this by one page, and the consumer holds one more in its hands.
    std::size_t buffer_chunks = 20'000;
    std::size_t buffer_bytes = std::size_t{8} * 1024 * 1024;

    /// What one query may bring, over all readers. A single larger chunk still comes.
    std::int32_t fetch_chunks = 10'000;
    std::int64_t fetch_bytes = std::int64_t{4} * 1024 * 1024;

    /// Shown in pg_stat_activity, followed by what the connection does ("librill listen"), unless the connection
    /// string or PGAPPNAME names the application.
    std::string application_name = "librill";

    /// Called on the background thread: return soon, take no lock that is held while calling the client, and do not
    /// destroy the client in it. Client::close() is allowed. An exception is swallowed and counted.
    std::function<void(const Event &)> on_event{};
};

}  // namespace rill
