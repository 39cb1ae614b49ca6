// stream_fetch: librill's one query for all its readers. Packed pages (core/page.hpp) of each stream that
// has something, in rows that follow each other, errors by stream instead of for the whole call, and the check
// of a cursor's epoch (promise I8).
#include "boundary.hpp"
#include "core/page.hpp"
#include "many.hpp"
#include "pg_compat.hpp"

namespace rill {

namespace {

constexpr int64 kMostBytes = 256 * 1024 * 1024;  // of one call
// A page goes on in the next row here (a single larger chunk has one of its own): each of the copies on its way to the
// socket then stays in the processor's cache, and in memory that malloc keeps.
constexpr int kPageBytes = 48 * 1024;

// A bytea that grows in place and is used again for the next page.
struct ByteaSink {
    StringInfoData buffer;

    void begin() {
        buffer.len = VARHDRSZ + static_cast<int>(core::kPageHeaderSize);
    }
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

void put_row(ReturnSetInfo *out, int n, const Request &request, Datum page) {
    Datum values[5] = {Int32GetDatum(n + 1), Int64GetDatum(request.stream.row.id), page};
    bool nulls[5] = {false, !request.stream.exists, DatumGetPointer(page) == nullptr, true, true};
    if (request.state != CursorState::good) {
        values[3] = CStringGetTextDatum(cursor_sqlstate(request.state));
        values[4] = CStringGetTextDatum(cursor_message(request.state, request.name, request.cursor));
        nulls[3] = nulls[4] = false;
    }
    tuplestore_putvalues(out->setResult, out->setDesc, values, nulls);
}

// Pages of at most `caps` together, a row each; *caps is lowered by what was used. False when there is nothing.
bool put_pages(ReturnSetInfo *out, ByteaSink *sink, Look &look, int n, const Request &request, Caps *caps) {
    core::PageWriter<ByteaSink> page(*sink);
    bool drained;
    sink->begin();
    const int64 count = read_prefix(look, request.stream, request.cursor, caps, &drained, [&](const ChunkScan &chunk) {
        auto *const data = PG_DETOAST_DATUM_PACKED(chunk.data());
        if (page.count() > 0 && sink->buffer.len + VARSIZE_ANY_EXHDR(data) > kPageBytes) {
            put_row(out, n, request, sink->finish(page.count()));
            sink->begin();
            page.restart();
        }
        page.add(chunk.id(), chunk.epoch(), chunk.appended_at(), chunk.eof(), VARDATA_ANY(data), VARSIZE_ANY_EXHDR(data));
        if (PointerGetDatum(data) != chunk.data())
            pfree(data);
    });
    if (page.count() > 0)
        put_row(out, n, request, sink->finish(page.count()));
    return count > 0;
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
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("argument \"epochs\" must have as many elements as \"streams\": %d, not %d", requests.count, epoch_count),
                        errhint("Give one epoch, or null, for each stream.")));
    const Caps caps = {cap_argument(fcinfo, 3, "max_chunks", true), Min(cap_argument(fcinfo, 4, "max_bytes", false), kMostBytes)};

    ReturnSetInfo *out = begin_srf(fcinfo);
    auto *answered = static_cast<bool *>(MemoryContextAllocExtended(CurrentMemoryContext, static_cast<Size>(Max(requests.count, 1)),
                                                                    MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO));
    // Verifying looks at every chunk itself; else idle streams have no row in the result.
    if (!verifying && !pass_over_idle(requests))
        return static_cast<Datum>(0);
    Look look;
    look.begin();
    look_up_streams(look, requests);
    for (int i = 0; verifying && i < requests.count; ++i) {
        Request *request = &requests.list[i];
        if (request->state == CursorState::good && !unknown[i] &&
            verify_cursor(look, request->stream, request->cursor, DatumGetInt32(epochs[i])) == Verdict::diverged) {
            request->state = CursorState::diverged;
            request->idle = true;
        }
    }
    ByteaSink sink;
    sink.init();
    share_fairly(requests, caps, [&](Request *request, int i, Caps *left) {
        answered[i] = put_pages(out, &sink, look, i, *request, left);
        if (!answered[i])
            judge_empty(look, request);
    });
    for (int i = 0; i < requests.count; ++i)
        if (!answered[i] && (verifying || requests.list[i].state != CursorState::good))
            put_row(out, i, requests.list[i], static_cast<Datum>(0));
    look.end();
    return static_cast<Datum>(0);
}
