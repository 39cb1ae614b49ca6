// stream_fetch: librill's one query for all its readers. Pages of each stream that has something new, in rows that
// follow each other; a bad cursor is a row, too, and does not spoil the others. With epochs each cursor is verified
// (promise I8), and every stream has a row, so that the client learns the streams' ids. A stream that the caps left out
// has a row without a page, in which `more` is true: a client must not take it for one that has nothing new.
#include "base/boundary.hpp"
#include "base/pg_compat.hpp"
#include "read/fair_shares.hpp"
#include "read/fetch_row.hpp"

namespace rill {

namespace {

constexpr int64 kMostBytes = 256 * 1024 * 1024;  // of one call

void put_row(ReturnSetInfo *out, int n, const Request &request, Datum page, bool more) {
    FetchRow row = fetch_row(n, request, page, more);
    tuplestore_putvalues(out->setResult, out->setDesc, row.values, row.nulls);
}

// A row for each page of what `share` allows.
PrefixRead put_pages(ReturnSetInfo *out, PageBuffer *page, ReadSnapshot &snapshot, int n, const Request &request,
                     Caps *share) {
    page->restart();
    const PrefixRead read =
        read_prefix(snapshot, request.stream, request.hint, request.cursor, share, [&](const ChunkScan &chunk) {
            auto *const data = PG_DETOAST_DATUM_PACKED(chunk.data());
            if (!page->takes(data)) {
                put_row(out, n, request, page->finish(), true);
                page->restart();
            }
            page->add(chunk, data);
            if (PointerGetDatum(data) != chunk.data())
                pfree(data);
        });
    if (!page->empty())
        put_row(out, n, request, page->finish(), read.cut);
    return read;
}

}  // namespace

}  // namespace rill

// stream_fetch(streams text[], chunk_ids bigint[], epochs int[], max_chunks int, max_bytes bigint) returns setof record
RILL_FUNCTION(pg_rill_fetch) {
    using namespace rill;
    const Requests requests = request_arguments(fcinfo, 0, 1);
    const bool verifying = !PG_ARGISNULL(2);
    if (verifying)
        epoch_argument(fcinfo, 2, requests);
    const Caps caps = {cap_argument(fcinfo, 3, "max_chunks", true),
                       Min(cap_argument(fcinfo, 4, "max_bytes", false), kMostBytes)};
    ReturnSetInfo *out = begin_srf(fcinfo);
    PageBuffer page;
    FairShares shares(caps);
    ReadSnapshot snapshot;
    (void) look_up(requests, &snapshot, [&](Request *request, int i, int busy) {
        return shares.serve(busy, [&](Caps *share) { return put_pages(out, &page, snapshot, i, *request, share); });
    });
    for (int i = 0; i < requests.count; ++i) {
        const Request &request = requests.list[i];
        if (!request.found && (verifying || request.left_out || request.state != CursorState::good))
            put_row(out, i, request, static_cast<Datum>(0), request.left_out);
    }
    return static_cast<Datum>(0);
}
