// stream_fetch: librill's one query for all its readers. One packed page for each stream that
// has something (core/page.hpp), errors by stream instead of for the whole call, and the check
// of a cursor's epoch (promise I8).
#include "boundary.hpp"
#include "core/page.hpp"
#include "errors.hpp"
#include "pg_compat.hpp"
#include "read.hpp"
#include "sequence_table.hpp"

namespace rill {

namespace {

constexpr int64 kMostPageBytes = 256 * 1024 * 1024;  // a bytea result is at most 1 GB, its text form twice that

// A bytea that grows in place.
struct ByteaSink {
    StringInfoData buffer;

    void init() {
        initStringInfo(&buffer);
        enlargeStringInfo(&buffer, VARHDRSZ + static_cast<int>(core::kPageHeaderSize));
        buffer.len = VARHDRSZ + static_cast<int>(core::kPageHeaderSize);
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

struct Request {
    StreamName name;
    int64 cursor;
    int32 epoch;
    bool epoch_known;
    VisibleStream stream;
    CursorState state;
    bool idle;  // nothing can be there, as the shared table says
};

// A cursor is of this history when its chunk is here with this epoch, or everything up to it
// was trimmed and nothing after it was.
CursorState verify(Look &look, const Request &request) {
    if (request.cursor == 0 || !request.stream.exists || request.cursor == request.stream.row.trimmed_through)
        return CursorState::good;
    if (!look.scan().exactly(request.stream.row.id, request.cursor))
        return RecoveryInProgress() ? CursorState::good : CursorState::diverged;
    return look.scan().epoch() == request.epoch ? CursorState::good : CursorState::diverged;
}

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

// One page of at most `caps`; *caps is lowered by what was used. Null when there is nothing.
Datum read_page(Look &look, Request *request, Caps *caps, bool *drained) {
    ByteaSink sink;
    core::PageWriter<ByteaSink> page(sink);
    bool started = false;
    (void) read_prefix(look, request->stream, request->cursor, caps, drained, [&](const ChunkScan &chunk) {
        if (!started)
            sink.init();
        started = true;
        auto *const data = PG_DETOAST_DATUM_PACKED(chunk.data());
        page.add(chunk.id(), chunk.epoch(), chunk.appended_at(), chunk.eof(), VARDATA_ANY(data), VARSIZE_ANY_EXHDR(data));
        if (PointerGetDatum(data) != chunk.data())
            pfree(data);
    });
    return started ? sink.finish(page.count()) : static_cast<Datum>(0);
}

}  // namespace

}  // namespace rill

// stream_fetch(streams text[], chunk_ids bigint[], epochs int[], max_chunks int, max_bytes bigint) returns setof record
RILL_FUNCTION(pg_rill_fetch) {
    using namespace rill;
    Datum *names;
    Datum *cursors;
    Datum *epochs = nullptr;
    bool *epoch_nulls = nullptr;
    int count;
    int cursor_count;
    array_argument(fcinfo, 0, "streams", TEXTOID, &names, nullptr, &count);
    array_argument(fcinfo, 1, "chunk_ids", INT8OID, &cursors, nullptr, &cursor_count);
    const bool verifying = !PG_ARGISNULL(2);
    int epoch_count = count;
    if (verifying)
        array_argument(fcinfo, 2, "epochs", INT4OID, &epochs, &epoch_nulls, &epoch_count);
    if (cursor_count != count || epoch_count != count)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("argument \"%s\" must have as many elements as \"streams\"", cursor_count != count ? "chunk_ids" : "epochs"),
                        errhint("Give one element for each stream.")));
    Caps caps = {cap_argument(fcinfo, 3, "max_chunks", true), Min(cap_argument(fcinfo, 4, "max_bytes", false), kMostPageBytes)};

    auto *requests = static_cast<Request *>(MemoryContextAllocExtended(CurrentMemoryContext, sizeof(Request) * static_cast<Size>(Max(count, 1)),
                                                                       MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO));
    for (int i = 0; i < count; ++i) {
        Request *request = &requests[i];
        request->name = stream_name(DatumGetTextPP(names[i]), "streams");
        request->cursor = DatumGetInt64(cursors[i]);
        if (request->cursor < 0)
            ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("argument \"chunk_ids\" must not contain negative ids: element %d", i + 1),
                            errhint("A cursor is the id of the last chunk read, or 0 to begin with the first.")));
        request->epoch_known = verifying && !epoch_nulls[i];
        request->epoch = request->epoch_known ? DatumGetInt32(epochs[i]) : 0;
    }

    ReturnSetInfo *out = begin_srf(fcinfo);
    Look look;
    look.begin();
    int busy = 0;
    for (int i = 0; i < count; ++i) {
        CHECK_FOR_INTERRUPTS();
        Request *request = &requests[i];
        request->stream = open_for_read(request->name, look.snapshot());
        request->state = check_cursor(request->stream, request->cursor);
        if (request->state == CursorState::good && request->epoch_known)
            request->state = verify(look, *request);
        if (request->state == CursorState::good && request->stream.exists) {
            const SequenceView view = look_up(stream_key(RelationGetRelid(look.chunks()), request->stream.row.id));
            request->idle = view.last_known && view.last_id == request->cursor;
            busy += request->idle ? 0 : 1;
        } else
            request->idle = true;
    }

    // Fair: each busy stream gets its share of what is left; what it leaves goes to those after it.
    // Where to begin moves on from call to call, so that a spent cap does not hit the same ones.
    static uint32 turn = 0;
    const int begin = count > 0 ? static_cast<int>(turn++ % static_cast<uint32>(count)) : 0;
    for (int k = 0; k < count; ++k) {
        const int i = (begin + k) % count;
        Request *request = &requests[i];
        Datum page = 0;
        if (!request->idle && caps.chunks > 0 && caps.bytes > 0) {
            CHECK_FOR_INTERRUPTS();
            Caps share = {Max(caps.chunks / busy, 1), Max(caps.bytes / busy, 1)};
            const Caps before = share;
            bool drained;
            page = read_page(look, request, &share, &drained);
            caps.chunks -= before.chunks - share.chunks;
            caps.bytes -= before.bytes - share.bytes;
            if (page == static_cast<Datum>(0))
                request->state = check_ahead(look.chunks(), request->stream, request->cursor);
        }
        if (!request->idle)
            --busy;
        if (verifying || page != static_cast<Datum>(0) || request->state != CursorState::good)
            put_row(out, i, *request, page);
        if (page != static_cast<Datum>(0))
            pfree(DatumGetPointer(page));
    }
    look.end();
    return static_cast<Datum>(0);
}
