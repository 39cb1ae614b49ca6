// stream_read_since and stream_read_many: the chunks after each cursor as rows. In a FROM clause a plan node usually
// takes the place of stream_read_since (read_scan.cpp).
#include "base/boundary.hpp"
#include "base/pg_compat.hpp"
#include "read/chunk_rows.hpp"
#include "read/fair_shares.hpp"
#include "read/read_arguments.hpp"
#include "wake/wait_loop.hpp"

namespace rill {

ReadArguments read_arguments(FunctionCallInfo fcinfo) {
    return {stream_argument(fcinfo, 0),
            cursor_argument(fcinfo, 1, "chunk_id"),
            {cap_argument(fcinfo, 2, "max_chunks", true), cap_argument(fcinfo, 3, "max_bytes", false)},
            timeout_argument(fcinfo, 4)};
}

namespace {

enum class Named : bool { no, yes };

void put_chunks(const Requests &requests, const Caps &caps, int64 timeout, ReturnSetInfo *out, Named named) {
    ChunkRows rows(out);
    (void) wait_until(wait_keys(requests), requests.count, timeout, nullptr, [&] {
        FairShares shares(caps);
        ReadSnapshot snapshot;
        const auto serve = [&](Request *request, int, int busy) {
            const StreamName &name = request->name;
            const text *stream = named == Named::yes ? cstring_to_text_with_len(name.data, name.size) : nullptr;
            return shares.serve(busy, [&](Caps *share) {
                return read_prefix(snapshot, request->stream, request->hint, request->cursor, share,
                                   [&](const ChunkScan &chunk) { rows.put(stream, chunk); });
            });
        };
        return look_up(requests, &snapshot, serve) && has_answer(requests);
    });
}

}  // namespace

}  // namespace rill

// stream_read_since(stream text, chunk_id bigint, max_chunks int, max_bytes bigint, timeout interval) returns setof
// record
RILL_FUNCTION(pg_rill_read_since) {
    using namespace rill;
    const ReadArguments arguments = read_arguments(fcinfo);
    Request request = make_request(arguments.name, arguments.cursor);
    put_chunks({&request, 1}, arguments.caps, arguments.timeout, begin_srf(fcinfo), Named::no);
    return static_cast<Datum>(0);
}

// stream_read_many(streams text[], chunk_ids bigint[], max_chunks int, max_bytes bigint, timeout interval, epochs
// int[]) returns setof record
RILL_FUNCTION(pg_rill_read_many) {
    using namespace rill;
    const Requests requests = request_arguments(fcinfo, 0, 1);
    const Caps caps = {cap_argument(fcinfo, 2, "max_chunks", true), cap_argument(fcinfo, 3, "max_bytes", false)};
    const int64 timeout = timeout_argument(fcinfo, 4);
    if (!PG_ARGISNULL(5))
        epoch_argument(fcinfo, 5, requests);
    put_chunks(requests, caps, timeout, begin_srf(fcinfo), Named::yes);
    return static_cast<Datum>(0);
}
