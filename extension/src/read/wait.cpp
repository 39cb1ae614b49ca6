// stream_wait and stream_wait_many. The loop behind every wait is wake/wait_loop.cpp.
#include "read/wait.hpp"

#include "base/boundary.hpp"
#include "base/pg_compat.hpp"
#include "read/head.hpp"
#include "read/lookup.hpp"
#include "wake/wait_loop.hpp"

#include <algorithm>

namespace rill {

namespace {

template <typename Fn>
bool any_of(const Requests &requests, Fn fn) {
    return std::any_of(requests.list, requests.list + requests.count, fn);
}

}  // namespace

bool wait_for_heads(const Requests &requests, int64 timeout, BadCursors bad, void (*before_sleep)()) {
    const auto is_bad = [](const Request &request) { return request.state != CursorState::good; };
    const bool answered = wait_until(wait_keys(requests), requests.count, timeout, before_sleep, [&] {
        ReadSnapshot snapshot;
        const auto find = [&](Request *request, int, int) {
            request->head = find_head_after(snapshot, request->stream, request->cursor, request->hint);
            return request->head > 0 ? Served::some : Served::nothing;
        };
        if (!look_up(requests, &snapshot, find, Hints::wanted))
            return false;
        return (bad == BadCursors::reported && any_of(requests, is_bad)) || has_answer(requests);
    });
    if (answered && !any_of(requests, is_ready))  // so all have ended
        for (int i = 0; i < requests.count; ++i)
            requests.list[i].head = requests.list[i].cursor;
    return answered;
}

}  // namespace rill

// stream_wait(stream text, chunk_id bigint, timeout interval) returns bigint
RILL_FUNCTION(pg_rill_wait) {
    using namespace rill;
    const StreamName name = stream_argument(fcinfo, 0);
    Request request = make_request(name, cursor_argument(fcinfo, 1, "chunk_id"));
    if (!wait_for_heads({&request, 1}, timeout_argument(fcinfo, 2), BadCursors::raised, nullptr))
        PG_RETURN_NULL();
    return Int64GetDatum(request.head);
}

// stream_wait_many(streams text[], chunk_ids bigint[], timeout interval) returns setof record
RILL_FUNCTION(pg_rill_wait_many) {
    using namespace rill;
    const Requests requests = request_arguments(fcinfo, 0, 1);
    const int64 timeout = timeout_argument(fcinfo, 2);
    ReturnSetInfo *out = begin_srf(fcinfo);
    (void) wait_for_heads(requests, timeout, BadCursors::reported, nullptr);
    for (int i = 0; i < requests.count; ++i) {
        const Request &request = requests.list[i];
        if (!is_ready(request))
            continue;
        const bool bad = request.state != CursorState::good;
        Datum values[4] = {PointerGetDatum(cstring_to_text_with_len(request.name.data, request.name.size)),
                           Int64GetDatum(request.head), BoolGetDatum(request.ended),
                           bad ? CStringGetTextDatum(cursor_sqlstate(request.state)) : static_cast<Datum>(0)};
        bool nulls[4] = {false, bad, false, !bad};
        tuplestore_putvalues(out->setResult, out->setDesc, values, nulls);
    }
    return static_cast<Datum>(0);
}
