// stream_fetch: librill's one query for all its readers. Packed pages (core/page.hpp) of each stream that
// has something, in rows that follow each other, errors by stream instead of for the whole call, and the check
// of a cursor's epoch (promise I8).
// CALL stream_fetch_await: waits for the first such row. So a chunk goes from the committing session straight to the
// one that reads for librill, and from there to the client, with no NOTIFY and no further question in between. The
// client ends the wait by sending anything, since it is the same connection that its next query needs.
#include "read/await.hpp"
#include "base/boundary.hpp"
#include "core/page.hpp"
#include "read/many.hpp"
#include "base/pg_compat.hpp"
#include "wake/wait_loop.hpp"

namespace rill {

namespace {

constexpr int64 kMostBytes = 256 * 1024 * 1024;  // of one call
// A page goes on in the next row here (a single larger chunk has one of its own): each of the copies on its way to the
// socket then stays in the processor's cache, and in memory that malloc keeps.
constexpr int kPageBytes = 48 * 1024;
constexpr int64 kMostChunks = 1000;  // in the one page of stream_fetch_await

// A bytea that grows in place and is used again for the next page.
struct ByteaSink {
    StringInfoData buffer;

    void begin() { buffer.len = VARHDRSZ + static_cast<int>(core::kPageHeaderSize); }
    void init() {
        initStringInfo(&buffer);
        enlargeStringInfo(&buffer, kPageBytes + 4096);
        begin();
    }
    uint8 *room(size_t bytes) {
        enlargeStringInfo(&buffer, static_cast<int>(bytes));
        return reinterpret_cast<uint8 *>(buffer.data + buffer.len);
    }
    void filled(const uint8 *end) { buffer.len = static_cast<int>(reinterpret_cast<const char *>(end) - buffer.data); }
    Datum finish(uint32 count) {
        core::put_page_header(reinterpret_cast<uint8 *>(buffer.data + VARHDRSZ), count);
        SET_VARSIZE(buffer.data, buffer.len);
        return PointerGetDatum(buffer.data);
    }
};

// (n, stream_id, page, sqlstate, message); no page: a null Datum.
constexpr int kColumns = 5;
struct FetchRow {
    Datum values[kColumns];
    bool nulls[kColumns];
};

FetchRow fetch_row(int n, const Request &request, Datum page) {
    FetchRow row = {{Int32GetDatum(n + 1), Int64GetDatum(request.stream.row.id), page},
                    {false, !request.stream.exists, DatumGetPointer(page) == nullptr, true, true}};
    if (request.state != CursorState::good) {
        row.values[3] = CStringGetTextDatum(cursor_sqlstate(request.state));
        row.values[4] = CStringGetTextDatum(cursor_message(request.state, request.name, request.cursor));
        row.nulls[3] = row.nulls[4] = false;
    }
    return row;
}

void put_row(ReturnSetInfo *out, int n, const Request &request, Datum page) {
    FetchRow row = fetch_row(n, request, page);
    tuplestore_putvalues(out->setResult, out->setDesc, row.values, row.nulls);
}

void add_chunk(core::PageWriter<ByteaSink> *page, const ChunkScan &chunk, const varlena *data) {
    page->add(chunk.id(), chunk.epoch(), chunk.appended_at(), chunk.eof(), VARDATA_ANY(data), VARSIZE_ANY_EXHDR(data));
    if (PointerGetDatum(data) != chunk.data())
        pfree(const_cast<varlena *>(data));
}

// Pages of at most `caps` together, a row each; *caps is lowered by what was used. False when there is nothing.
bool put_pages(ReturnSetInfo *out, ByteaSink *sink, ReadSnapshot &snapshot, int n, const Request &request, Caps *caps) {
    core::PageWriter<ByteaSink> page(*sink);
    sink->begin();
    const int64 count = read_prefix(snapshot, request.stream, request.cursor, caps, [&](const ChunkScan &chunk) {
        auto *const data = PG_DETOAST_DATUM_PACKED(chunk.data());
        if (page.count() > 0 && sink->buffer.len + VARSIZE_ANY_EXHDR(data) > kPageBytes) {
            put_row(out, n, request, sink->finish(page.count()));
            sink->begin();
            page.restart();
        }
        add_chunk(&page, chunk, data);
    });
    if (page.count() > 0)
        put_row(out, n, request, sink->finish(page.count()));
    return count > 0;
}

// The first row for stream_fetch_await: of one stream, a page that fits into the usual size, or what is wrong with its
// cursor. They take turns, so that one that always has something does not keep the others waiting.
bool first_row(ReadSnapshot &snapshot, const Requests &requests, ByteaSink *sink, Datum *page, int *n) {
    bool found = false;
    each_in_turn(requests, [&](Request *request, int i) {
        Caps caps = {kMostChunks, kPageBytes};
        core::PageWriter<ByteaSink> writer(*sink);
        sink->begin();
        found = read_prefix(snapshot, request->stream, request->cursor, &caps, [&](const ChunkScan &chunk) {
                    add_chunk(&writer, chunk, PG_DETOAST_DATUM_PACKED(chunk.data()));
                }) > 0;
        if (found) {
            *page = sink->finish(writer.count());
            *n = i;
        } else
            judge_empty(snapshot, request);
        return !found;
    });
    for (int i = 0; !found && i < requests.count; ++i)
        if (requests.list[i].state != CursorState::good) {
            *page = static_cast<Datum>(0);
            *n = i;
            found = true;
        }
    return found;
}

}  // namespace

}  // namespace rill

// stream_fetch(streams text[], chunk_ids bigint[], epochs int[], max_chunks int, max_bytes bigint) returns setof record
RILL_FUNCTION(pg_rill_fetch) {
    using namespace rill;
    const Requests requests = request_arguments(fcinfo, 0, 1);
    const bool verifying = !PG_ARGISNULL(2);
    Datum *epochs = nullptr;
    bool *unknown = nullptr;
    int epoch_count = requests.count;
    if (verifying)
        array_argument(fcinfo, 2, "epochs", INT4OID, &epochs, &unknown, &epoch_count);
    if (epoch_count != requests.count)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("argument \"epochs\" must have as many elements as \"streams\": %d, not %d",
                               requests.count, epoch_count),
                        errhint("Give one epoch, or null, for each stream.")));
    const Caps caps = {cap_argument(fcinfo, 3, "max_chunks", true),
                       Min(cap_argument(fcinfo, 4, "max_bytes", false), kMostBytes)};

    ReturnSetInfo *out = begin_srf(fcinfo);
    auto *answered = static_cast<bool *>(MemoryContextAllocExtended(
        CurrentMemoryContext, static_cast<Size>(Max(requests.count, 1)), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO));
    // Verifying looks at every chunk itself; else idle streams have no row in the result.
    if (!verifying && !pass_over_idle(requests))
        return static_cast<Datum>(0);
    ReadSnapshot snapshot;
    snapshot.begin();
    look_up_streams(snapshot, requests);
    for (int i = 0; verifying && i < requests.count; ++i) {
        Request *request = &requests.list[i];
        if (request->state == CursorState::good && !unknown[i] &&
            verify_cursor(snapshot, request->stream, request->cursor, DatumGetInt32(epochs[i])) == Verdict::diverged) {
            request->state = CursorState::diverged;
            request->idle = true;
        }
    }
    ByteaSink sink;
    sink.init();
    share_fairly(requests, caps, [&](Request *request, int i, Caps *left) {
        answered[i] = put_pages(out, &sink, snapshot, i, *request, left);
        if (!answered[i])
            judge_empty(snapshot, request);
    });
    for (int i = 0; i < requests.count; ++i)
        if (!answered[i] && (verifying || requests.list[i].state != CursorState::good))
            put_row(out, i, requests.list[i], static_cast<Datum>(0));
    snapshot.end();
    return static_cast<Datum>(0);
}

// CALL stream_fetch_await(streams text[], chunk_ids bigint[], timeout interval,
//                         INOUT n int, INOUT stream_id bigint, INOUT page bytea, INOUT sqlstate text, INOUT message
//                         text)
RILL_FUNCTION(pg_rill_fetch_await) {
    using namespace rill;
    const Requests requests = request_arguments(fcinfo, 0, 1);
    const int64 timeout = timeout_argument(fcinfo, 2);
    begin_holding_nothing(fcinfo, "stream_fetch_await", nullptr);
    ByteaSink sink;
    sink.init();
    Datum page = static_cast<Datum>(0);
    int n = 0;
    const bool found = wait_until(
        wait_keys(requests), requests.count, timeout, let_go,
        [&] {
            if (!pass_over_idle(requests) && requests.count > 0)
                return false;
            ReadSnapshot snapshot;
            snapshot.begin();
            look_up_streams(snapshot, requests);
            const bool any = first_row(snapshot, requests, &sink, &page, &n);
            snapshot.end();
            return any;
        },
        UntilInput::yes);
    FetchRow row = {{}, {true, true, true, true, true}};
    if (found)
        row = fetch_row(n, requests.list[n], page);
    end_holding_nothing();
    return inout_row(fcinfo, row.values, row.nulls);
}
