// stream_size: counts the data of a stream. The one question here whose cost grows with the stream.
#include "base/boundary.hpp"
#include "base/result_row.hpp"
#include "read/head.hpp"
#include "read/stable_prefix_scan.hpp"

// stream_size(stream text, after bigint) returns (chunks bigint, bytes bigint)
RILL_FUNCTION(pg_rill_size) {
    using namespace rill;
    const StreamName name = stream_argument(fcinfo, 0);
    const int64 after = cursor_argument(fcinfo, 1, "after");
    int64 chunks = 0;
    int64 bytes = 0;
    with_stream(name, [&](ReadSnapshot &snapshot, const VisibleStream &stream, const StreamHint &hint) {
        Caps all = {PG_INT64_MAX, PG_INT64_MAX};
        (void) read_prefix(snapshot, stream, hint, after, &all, [&](const ChunkScan &chunk) {
            const int64 size = chunk.size();
            chunks += chunk.eof() && size == 0 ? 0 : 1;  // an empty EOF is no data
            bytes += size;
        });
    });
    Datum values[2] = {Int64GetDatum(chunks), Int64GetDatum(bytes)};
    bool nulls[2] = {};
    return result_row(fcinfo, values, nulls);
}
