// stream_read_many, stream_wait_many, stream_verify, and what they share. See many.hpp.
#include "read/many.hpp"

#include "base/boundary.hpp"
#include "tables/last_id.hpp"
#include "base/pg_compat.hpp"
#include "tables/privileges.hpp"
#include "read/chunk_rows.hpp"
#include "wake/wait_loop.hpp"

#include <algorithm>

namespace rill {

namespace {

void refuse_repeats(const Requests &requests) {
    auto *order = static_cast<int *>(
        MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int) * static_cast<Size>(requests.count)));
    for (int i = 0; i < requests.count; ++i)
        order[i] = i;
    const Request *list = requests.list;
    std::sort(order, order + requests.count, [list](int a, int b) { return list[a].name.key < list[b].name.key; });
    for (int i = 1; i < requests.count; ++i) {
        const StreamName &a = list[order[i - 1]].name;
        const StreamName &b = list[order[i]].name;
        if (a.key == b.key && a.size == b.size && memcmp(a.data, b.data, static_cast<Size>(a.size)) == 0)
            ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                            errmsg("argument \"streams\" contains \"%.*s\" twice", a.size, a.data),
                            errhint("Name each stream once in a call.")));
    }
    pfree(order);
}

}  // namespace

Requests request_arguments(FunctionCallInfo fcinfo, int streams, int cursors) {
    Datum *names;
    Datum *ids;
    Requests requests = {nullptr, 0};
    int id_count;
    array_argument(fcinfo, streams, "streams", TEXTOID, &names, nullptr, &requests.count);
    array_argument(fcinfo, cursors, "chunk_ids", INT8OID, &ids, nullptr, &id_count);
    if (id_count != requests.count)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("argument \"chunk_ids\" must have as many elements as \"streams\": %d, not %d",
                               requests.count, id_count),
                        errhint("Give one cursor for each stream.")));
    requests.list = static_cast<Request *>(
        MemoryContextAllocExtended(CurrentMemoryContext, sizeof(Request) * static_cast<Size>(Max(requests.count, 1)),
                                   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO));
    for (int i = 0; i < requests.count; ++i) {
        requests.list[i].name = stream_name(DatumGetTextPP(names[i]), "streams");
        requests.list[i].cursor = DatumGetInt64(ids[i]);
        if (requests.list[i].cursor < 0)
            ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                            errmsg("argument \"chunk_ids\" must not contain negative ids: element %d is " INT64_FORMAT,
                                   i + 1, requests.list[i].cursor),
                            errhint("A cursor is the id of the last chunk read, or 0 to begin with the first.")));
    }
    refuse_repeats(requests);
    return requests;
}

bool pass_over_idle(const Requests &requests) {
    bool busy = false;
    require_privilege(ACL_SELECT);
    for (int i = 0; i < requests.count; ++i) {
        Request *request = &requests.list[i];
        request->state = CursorState::good;
        request->ended = false;
        request->idle = cached_idle(request->name, request->cursor, &request->hint);
        busy = busy || !request->idle;
    }
    return busy;
}

void look_up_streams(ReadSnapshot &snapshot, const Requests &requests) {
    require_privilege(ACL_SELECT);
    for (int i = 0; i < requests.count; ++i) {
        Request *request = &requests.list[i];
        if (request->idle)
            continue;
        CHECK_FOR_INTERRUPTS();
        bool found;
        request->stream = open_after(request->name, request->cursor, request->hint, snapshot, &found);
        if (found)
            continue;
        request->idle = true;
        request->state = check_cursor(request->stream, request->cursor);
        if (!request->stream.exists || request->state != CursorState::good)
            continue;
        const CachedIds view =
            load_cached_ids(snapshot.chunks(), stream_key(RelationGetRelid(snapshot.chunks()), request->stream.row.id),
                            request->stream.row.trimmed_through);
        // Under SERIALIZABLE also finding nothing is a read: only a scan leaves the predicate lock behind.
        request->idle = view.last_known && view.last_id == request->cursor && !IsolationIsSerializable();
        if (request->idle && view.check_tail)
            request->ended = is_eof(snapshot, request->stream, request->cursor);
    }
}

void judge_empty(ReadSnapshot &snapshot, Request *request) {
    request->state = check_ahead(snapshot.chunks(), request->stream, request->cursor);
    request->ended = request->state == CursorState::good && is_eof(snapshot, request->stream, request->cursor);
}

void refuse_bad_cursors(const Requests &requests) {
    for (int i = 0; i < requests.count; ++i)
        if (requests.list[i].state != CursorState::good)
            refuse_cursor(requests.list[i].state, requests.list[i].name, requests.list[i].cursor);
}

uint64 *wait_keys(const Requests &requests) {
    auto *keys = static_cast<uint64 *>(
        MemoryContextAllocHuge(CurrentMemoryContext, sizeof(uint64) * static_cast<Size>(Max(requests.count, 1))));
    for (int i = 0; i < requests.count; ++i)
        keys[i] = requests.list[i].name.key;
    return keys;
}

bool wait_for_many(const Requests &requests, int64 timeout, void (*let_go)(), int64 **heads) {
    auto *const found = static_cast<int64 *>(
        MemoryContextAllocExtended(CurrentMemoryContext, sizeof(int64) * static_cast<Size>(Max(requests.count, 1)),
                                   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO));
    *heads = found;
    return wait_until(wait_keys(requests), requests.count, timeout, let_go, [&] {
        if (!pass_over_idle(requests) && requests.count > 0)
            return false;
        ReadSnapshot snapshot;
        snapshot.begin();
        look_up_streams(snapshot, requests);
        bool any = false;
        bool all_ended = true;
        for (int i = 0; i < requests.count; ++i) {
            Request *request = &requests.list[i];
            found[i] = 0;
            if (!request->idle) {
                found[i] = find_head_after(snapshot, request->stream, request->cursor, request->hint);
                if (found[i] == 0)
                    judge_empty(snapshot, request);
            }
            any = any || found[i] > 0;
            all_ended = all_ended && request->ended;
        }
        snapshot.end();
        refuse_bad_cursors(requests);
        for (int i = 0; all_ended && i < requests.count; ++i)
            found[i] = requests.list[i].cursor;
        return any || all_ended;
    });
}

}  // namespace rill

// stream_verify(stream text, chunk_id bigint, epoch int) returns boolean
RILL_FUNCTION(pg_rill_verify) {
    using namespace rill;
    const StreamName name = stream_argument(fcinfo, 0);
    const int64 cursor = cursor_argument(fcinfo, 1, "chunk_id");
    if (PG_ARGISNULL(2))
        refuse_null("epoch");
    ReadSnapshot snapshot;
    snapshot.begin();
    const VisibleStream stream = open_stream(name, snapshot);
    const Verdict verdict = verify_cursor(snapshot, stream, cursor, PG_GETARG_INT32(2));
    snapshot.end();
    switch (verdict) {
    case Verdict::same:
        PG_RETURN_BOOL(true);
    case Verdict::not_yet:
        PG_RETURN_NULL();
    case Verdict::behind:
        refuse_cursor(CursorState::behind, name, cursor);
    case Verdict::missing:
        refuse_cursor(CursorState::missing, name, cursor);
    default:
        refuse_cursor(CursorState::diverged, name, cursor);
    }
}

// stream_read_many(streams text[], chunk_ids bigint[], max_chunks int, max_bytes bigint, timeout interval) returns
// setof record
RILL_FUNCTION(pg_rill_read_many) {
    using namespace rill;
    const Requests requests = request_arguments(fcinfo, 0, 1);
    const Caps caps = {cap_argument(fcinfo, 2, "max_chunks", true), cap_argument(fcinfo, 3, "max_bytes", false)};
    const int64 timeout = timeout_argument(fcinfo, 4);
    ChunkRows rows(begin_srf(fcinfo));

    (void) wait_until(wait_keys(requests), requests.count, timeout, nullptr, [&] {
        if (!pass_over_idle(requests) && requests.count > 0)
            return false;
        ReadSnapshot snapshot;
        snapshot.begin();
        look_up_streams(snapshot, requests);
        bool any = false;
        share_fairly(requests, caps, [&](Request *request, int, Caps *left) {
            const text *stream = cstring_to_text_with_len(request->name.data, request->name.size);
            if (read_prefix(snapshot, request->stream, request->cursor, left,
                            [&](const ChunkScan &chunk) { rows.put(stream, chunk); }) > 0)
                any = true;
            else
                judge_empty(snapshot, request);
        });
        snapshot.end();
        refuse_bad_cursors(requests);
        return any || std::all_of(requests.list, requests.list + requests.count,
                                  [](const Request &request) { return request.ended; });
    });
    return static_cast<Datum>(0);
}

// stream_wait_many(streams text[], chunk_ids bigint[], timeout interval) returns setof record
RILL_FUNCTION(pg_rill_wait_many) {
    using namespace rill;
    const Requests requests = request_arguments(fcinfo, 0, 1);
    const int64 timeout = timeout_argument(fcinfo, 2);
    ReturnSetInfo *out = begin_srf(fcinfo);
    int64 *heads = nullptr;
    (void) wait_for_many(requests, timeout, nullptr, &heads);
    for (int i = 0; i < requests.count; ++i)
        if (heads[i] > 0) {
            const StreamName &name = requests.list[i].name;
            Datum values[3] = {PointerGetDatum(cstring_to_text_with_len(name.data, name.size)), Int64GetDatum(heads[i]),
                               BoolGetDatum(requests.list[i].ended)};
            bool nulls[3] = {};
            tuplestore_putvalues(out->setResult, out->setDesc, values, nulls);
        }
    return static_cast<Datum>(0);
}
