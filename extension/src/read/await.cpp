// CALL stream_await and stream_await_many: waiting that holds nothing (wait_procedure.hpp).
#include "base/boundary.hpp"
#include "base/result_row.hpp"
#include "read/wait_procedure.hpp"
#include "read/wait.hpp"

// CALL stream_await(stream text, chunk_id bigint, timeout interval, INOUT head bigint)
RILL_FUNCTION(pg_rill_await) {
    using namespace rill;
    const StreamName name = stream_argument(fcinfo, 0);
    Request request = make_request(name, cursor_argument(fcinfo, 1, "chunk_id"));
    const int64 timeout = timeout_argument(fcinfo, 2);
    begin_wait_procedure(fcinfo, "stream_await", "stream_wait");
    const bool null = !wait_for_heads({&request, 1}, timeout, BadCursors::raised, restart_transaction);
    const Datum value = Int64GetDatum(request.head);
    end_wait_procedure();
    return result_row(fcinfo, &value, &null);
}

// CALL stream_await_many(streams text[], chunk_ids bigint[], timeout interval, INOUT ready text[])
RILL_FUNCTION(pg_rill_await_many) {
    using namespace rill;
    const Requests requests = request_arguments(fcinfo, 0, 1);
    const int64 timeout = timeout_argument(fcinfo, 2);
    begin_wait_procedure(fcinfo, "stream_await_many", "stream_wait_many");
    const bool null = !wait_for_heads(requests, timeout, BadCursors::reported, restart_transaction);
    auto *names = static_cast<Datum *>(palloc(sizeof(Datum) * static_cast<Size>(Max(requests.count, 1))));
    int count = 0;
    for (int i = 0; i < requests.count; ++i) {
        const Request &request = requests.list[i];
        if (is_ready(request))
            names[count++] = PointerGetDatum(cstring_to_text_with_len(request.name.data, request.name.size));
    }
    const Datum value = PointerGetDatum(construct_array(names, count, TEXTOID, -1, false, TYPALIGN_INT));
    end_wait_procedure();
    return result_row(fcinfo, &value, &null);
}
