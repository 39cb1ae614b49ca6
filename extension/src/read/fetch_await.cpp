// CALL stream_fetch_await: waits for the first row that stream_fetch would return. So a chunk goes from the committing
// session straight to the one that reads for librill, and from there to the client, with no NOTIFY and no further
// question in between. The client ends the wait by sending anything, since it is the same connection that its next
// query needs.
#include "base/boundary.hpp"
#include "base/result_row.hpp"
#include "read/fetch_row.hpp"
#include "read/wait_procedure.hpp"
#include "read/lookup.hpp"
#include "read/stable_prefix_scan.hpp"
#include "wake/wait_loop.hpp"

namespace rill {

namespace {

constexpr Caps kOnePage = {1000, kPageBytes};

// Fills the page with chunks of one stream, of at most kPageBytes unless the first is larger.
PrefixRead fill_page(PageBuffer *page, ReadSnapshot &snapshot, const Request &request) {
    Caps caps = kOnePage;
    page->restart();
    return read_prefix(snapshot, request.stream, request.hint, request.cursor, &caps, [&](const ChunkScan &chunk) {
        auto *const data = PG_DETOAST_DATUM_PACKED(chunk.data());
        page->add(chunk, data);
        if (PointerGetDatum(data) != chunk.data())
            pfree(data);
    });
}

// Which request the row is about: the one that a page was filled for, or else the first whose cursor is bad; -1 when
// there is none.
int answered(const Requests &requests) {
    for (int i = 0; i < requests.count; ++i)
        if (requests.list[i].found)
            return i;
    for (int i = 0; i < requests.count; ++i)
        if (requests.list[i].state != CursorState::good)
            return i;
    return -1;
}

}  // namespace

}  // namespace rill

// CALL stream_fetch_await(streams text[], chunk_ids bigint[], timeout interval, INOUT n int, INOUT stream_id bigint,
//                         INOUT page bytea, INOUT more boolean, INOUT sqlstate text, INOUT message text)
RILL_FUNCTION(pg_rill_fetch_await) {
    using namespace rill;
    const Requests requests = request_arguments(fcinfo, 0, 1);
    const int64 timeout = timeout_argument(fcinfo, 2);
    begin_wait_procedure(fcinfo, "stream_fetch_await", nullptr);
    PageBuffer page;
    int n = -1;
    bool more = false;
    const bool found = wait_until(
        wait_keys(requests), requests.count, timeout, restart_transaction,
        [&] {
            ReadSnapshot snapshot;
            (void) look_up(requests, &snapshot, [&](Request *request, int, int) {
                const PrefixRead read = fill_page(&page, snapshot, *request);
                more = read.count > 0 && read.cut;
                return read.count > 0 ? Served::enough : Served::nothing;
            });
            n = answered(requests);
            return n >= 0;
        },
        UntilInput::yes);
    FetchRow row = empty_fetch_row();
    if (found)
        row = fetch_row(n, requests.list[n], requests.list[n].found ? page.finish() : static_cast<Datum>(0), more);
    end_wait_procedure();
    return result_row(fcinfo, row.values, row.nulls);
}
