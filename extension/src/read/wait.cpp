// stream_wait and stream_wait_many. The loop behind every wait is wake/wait_loop.cpp.
#include "read/wait.hpp"

#include "base/boundary.hpp"
#include "base/pg_compat.hpp"
#include "read/head.hpp"
#include "read/lookup.hpp"
#include "wake/wait_loop.hpp"

#include <algorithm>

namespace rill {

bool wait_for_heads(const Requests &requests, int64 timeout, void (*before_sleep)()) {
    const bool answered = wait_until(wait_keys(requests), requests.count, timeout, before_sleep, [&] {
        ReadSnapshot snapshot;
        const auto find = [&](Request *request, int, int) {
            request->head = find_head_after(snapshot, request->stream, request->cursor, request->hint);
            return request->head > 0 ? Served::some : Served::nothing;
        };
        return look_up(requests, &snapshot, find, Hints::wanted) && has_answer(requests);
    });
    const auto found = [](const Request &request) { return request.found; };
    if (answered && std::none_of(requests.list, requests.list + requests.count, found))  // so all have ended
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
    if (!wait_for_heads({&request, 1}, timeout_argument(fcinfo, 2), nullptr))
        PG_RETURN_NULL();
    return Int64GetDatum(request.head);
}

// stream_wait_many(streams text[], chunk_ids bigint[], timeout interval) returns setof record
RILL_FUNCTION(pg_rill_wait_many) {
    using namespace rill;
    const Requests requests = request_arguments(fcinfo, 0, 1);
    const int64 timeout = timeout_argument(fcinfo, 2);
    ReturnSetInfo *out = begin_srf(fcinfo);
    (void) wait_for_heads(requests, timeout, nullptr);
    for (int i = 0; i < requests.count; ++i) {
        const Request &request = requests.list[i];
        if (request.head == 0)
            continue;
        Datum values[3] = {PointerGetDatum(cstring_to_text_with_len(request.name.data, request.name.size)),
                           Int64GetDatum(request.head), BoolGetDatum(request.ended)};
        bool nulls[3] = {};
        tuplestore_putvalues(out->setResult, out->setDesc, values, nulls);
    }
    return static_cast<Datum>(0);
}
