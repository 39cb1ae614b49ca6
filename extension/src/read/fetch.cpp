// stream_fetch: librill's one query for all its readers. Pages of each stream that has something new, in rows that
// follow each other; a bad cursor is a row, too, and does not spoil the others. With epochs each cursor is verified
// (promise I8), and every stream has a row, so that the client learns the streams' ids. A stream that the caps left out
// has a row without a page, in which `more` is true: a client must not take it for one that has nothing new. A stream's
// last row describes its end (head, closed) under the snapshot that the pages are of.
#include "base/boundary.hpp"
#include "base/pg_compat.hpp"
#include "read/fair_shares.hpp"
#include "read/fetch_row.hpp"
#include "read/head.hpp"

#include <algorithm>

namespace rill {

namespace {

constexpr int64 kMostBytes = 256 * 1024 * 1024;  // of one call

enum EndColumn : int {
    kHeadId = kFetchColumns,
    kHeadEpoch,
    kLastDataId,
    kClosed,
    kColumns,
};

// `end` in a stream's last row.
void put_row(ReturnSetInfo *out, int n, const Request &request, Datum page, bool more, const StreamEnd *end) {
    const FetchRow row = fetch_row(n, request, page, more);
    Datum values[kColumns] = {};
    bool nulls[kColumns];
    std::copy_n(row.values, +kFetchColumns, values);
    std::copy_n(row.nulls, +kFetchColumns, nulls);
    values[kHeadId] = Int64GetDatum(end != nullptr ? end->head : 0);
    values[kHeadEpoch] = Int32GetDatum(end != nullptr ? end->epoch : 0);
    values[kLastDataId] = Int64GetDatum(end != nullptr ? end->last_data : 0);
    values[kClosed] = BoolGetDatum(end != nullptr && end->closed);
    nulls[kHeadId] = nulls[kClosed] = end == nullptr;
    nulls[kHeadEpoch] = end == nullptr || end->head == 0;
    nulls[kLastDataId] = end == nullptr || !request.stream.exists;
    tuplestore_putvalues(out->setResult, out->setDesc, values, nulls);
}

// Of a stream without a page in this answer.
StreamEnd end_without_page(ReadSnapshot &snapshot, const Request &request) {
    if (!request.stream.exists)
        return {};
    if (request.left_out || request.state != CursorState::good)
        return describe_end(snapshot, request.stream, find_head(snapshot, request.stream, request.hint));
    // Nothing is readable after the cursor, and a cursor is an id up to which all was read.
    ChunkScan &scan = snapshot.scan();
    return scan.last_at_or_below(request.stream.row.id, request.cursor)
               ? describe_end(snapshot, request.stream, scan.id())
               : StreamEnd{};
}

// A row for each page of what `share` allows.
PrefixRead put_pages(ReturnSetInfo *out, PageBuffer *page, ReadSnapshot &snapshot, int n, const Request &request,
                     Caps *share) {
    page->restart();
    StreamEnd end = {};
    const PrefixRead read =
        read_prefix(snapshot, request.stream, request.hint, request.cursor, share, [&](const ChunkScan &chunk) {
            auto *const data = PG_DETOAST_DATUM_PACKED(chunk.data());
            if (!page->takes(data)) {
                put_row(out, n, request, page->finish(), true, nullptr);
                page->restart();
            }
            const bool empty_eof = chunk.eof() && VARSIZE_ANY_EXHDR(data) == 0;
            end = {chunk.id(), chunk.epoch(), empty_eof ? end.last_data : chunk.id(), chunk.eof(), 0};
            page->add(chunk, data);
            if (PointerGetDatum(data) != chunk.data())
                pfree(data);
        });
    if (page->empty())
        return read;
    if (read.cut || end.last_data == 0)
        end = describe_end(snapshot, request.stream,
                           read.cut ? find_head_beyond(snapshot, request.stream, end.head, request.hint) : end.head);
    put_row(out, n, request, page->finish(), read.cut, &end);
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
    const auto serve = [&](Request *request, int i, int busy) {
        return shares.serve(busy, [&](Caps *share) { return put_pages(out, &page, snapshot, i, *request, share); });
    };
    (void) look_up(requests, &snapshot, serve, Hints::wanted, CurrentMemoryContext, [&] {
        for (int i = 0; i < requests.count; ++i) {
            const Request &request = requests.list[i];
            if (request.found || !(verifying || request.left_out || request.state != CursorState::good))
                continue;
            const StreamEnd end = end_without_page(snapshot, request);
            put_row(out, i, request, static_cast<Datum>(0), request.left_out, &end);
        }
    });
    return static_cast<Datum>(0);
}
