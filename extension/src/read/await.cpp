// CALL stream_await and stream_await_many: waiting that holds nothing (promise I7).
// The procedure commits the transaction that CALL began (SPI_commit also pops the portal's
// snapshot), so while it sleeps it has no snapshot and no transaction id. That must not commit
// somebody's work behind their back: inside a transaction block, and after writes in the same
// procedure or DO block, it is refused with 25001.
#include "read/await.hpp"

#include "base/boundary.hpp"
#include "read/many.hpp"
#include "read/wait.hpp"

namespace rill {

namespace {

// Ends the running transaction and begins one that holds nothing yet.
void commit_and_begin() {
    if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
        elog(ERROR, "SPI_connect failed");
    SPI_commit();
    SPI_finish();
}

}  // namespace

void let_go() {
    commit_and_begin();
    XactIsoLevel =
        XACT_READ_COMMITTED;  // each snapshot needs a snapshot of its own; nothing else runs in this transaction
}

void end_holding_nothing() { commit_and_begin(); }

void begin_holding_nothing(FunctionCallInfo fcinfo, const char *procedure, const char *function) {
    const auto *call = fcinfo->context != nullptr && IsA(fcinfo->context, CallContext)
                           ? castNode(CallContext, fcinfo->context)
                           : nullptr;
    if (call == nullptr || call->atomic || TransactionIdIsValid(GetTopTransactionIdIfAny()))
        ereport(
            ERROR,
            (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION), errmsg("%s() cannot wait inside a transaction block", procedure),
             function != nullptr
                 ? errhint(
                       "Call it outside of one, or use the function %s(), which holds the transaction while it waits.",
                       function)
                 : errhint("Call it outside of one.")));
    let_go();
}

Datum inout_row(FunctionCallInfo fcinfo, const Datum *values, const bool *nulls) {
    TupleDesc desc;
    if (get_call_result_type(fcinfo, nullptr, &desc) != TYPEFUNC_COMPOSITE)
        elog(ERROR, "return type must be a row type");
    return HeapTupleGetDatum(
        heap_form_tuple(BlessTupleDesc(desc), const_cast<Datum *>(values), const_cast<bool *>(nulls)));
}

}  // namespace rill

// CALL stream_await(stream text, chunk_id bigint, timeout interval, INOUT head bigint)
RILL_FUNCTION(pg_rill_await) {
    using namespace rill;
    const StreamName name = stream_argument(fcinfo, 0);
    const int64 cursor = cursor_argument(fcinfo, 1, "chunk_id");
    const int64 timeout = timeout_argument(fcinfo, 2);
    begin_holding_nothing(fcinfo, "stream_await", "stream_wait");
    int64 head = 0;
    const bool null = !wait_for_one(name, cursor, timeout, let_go, &head);
    const Datum value = Int64GetDatum(head);
    end_holding_nothing();
    return inout_row(fcinfo, &value, &null);
}

// CALL stream_await_many(streams text[], chunk_ids bigint[], timeout interval, INOUT ready text[])
RILL_FUNCTION(pg_rill_await_many) {
    using namespace rill;
    const Requests requests = request_arguments(fcinfo, 0, 1);
    const int64 timeout = timeout_argument(fcinfo, 2);
    begin_holding_nothing(fcinfo, "stream_await_many", "stream_wait_many");
    int64 *heads = nullptr;
    const bool null = !wait_for_many(requests, timeout, let_go, &heads);
    auto *names = static_cast<Datum *>(palloc(sizeof(Datum) * static_cast<Size>(Max(requests.count, 1))));
    int count = 0;
    for (int i = 0; i < requests.count; ++i)
        if (heads[i] > 0)
            names[count++] =
                PointerGetDatum(cstring_to_text_with_len(requests.list[i].name.data, requests.list[i].name.size));
    const Datum value = PointerGetDatum(construct_array(names, count, TEXTOID, -1, false, TYPALIGN_INT));
    end_holding_nothing();
    return inout_row(fcinfo, &value, &null);
}
